"""Kill -9 in the middle of a batch: every file still ends, once, and the ZIP is whole."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx

from tests import photos
from tests.functional.server import Server
from tests.functional.test_durability import LEASE, ends

PATIENCE_SECONDS = 90


def send(client: httpx.Client, files: int, data: bytes) -> str:
    parts = [("files", (f"photo-{index}.png", data)) for index in range(files)]
    answer = client.post("/enhance", files=parts, data={"scale": "2"})
    assert answer.status_code == 202, answer.text
    batch_id: str = answer.json()["job_id"]
    return batch_id


def wait(client: httpx.Client, batch_id: str, ended: int) -> dict[str, Any]:
    """Poll until so many files have ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        state: dict[str, Any] = client.get(f"/status/{batch_id}").json()
        if len(state["results"]) >= ended:
            return state
        assert time.monotonic() < deadline, state
        time.sleep(0.05)


def test_a_batch_survives_a_kill_and_each_file_ends_once(tmp_path: Path) -> None:
    data = photos.encoded("PNG", 240, 180)
    with Server(tmp_path, **LEASE) as server:
        with server.client() as client:
            batch_id = send(client, 8, data)
            wait(client, batch_id, 2)
        server.kill()
        server.start()
        with server.client() as client:
            state = wait(client, batch_id, 8)
            assert (state["status"], state["succeeded"], state["failed"]) == ("completed", 8, 0)
            archive = zipfile.ZipFile(io.BytesIO(client.get(f"/enhance/{batch_id}/zip").content))
        assert archive.testzip() is None
        assert sum(name.startswith("photo-") for name in archive.namelist()) == 8
        count = ends(server)
        jobs = {entry["job_id"] for entry in state["results"]}
        # A process may die between the commit of a job's end and the log's line about it: never twice.
        assert all(count.get(job, 0) <= 1 for job in jobs), count
        assert set(count) <= jobs


def test_a_kill_during_the_upload_accepts_nothing(tmp_path: Path) -> None:
    data = photos.encoded("PNG", 240, 180)
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    with Server(tmp_path, **LEASE) as server:
        uploads = tmp_path / "data" / "temp_uploads"

        def body() -> Any:
            for _ in range(3):
                yield head + data + b"\r\n"
            deadline = time.monotonic() + PATIENCE_SECONDS
            while len(list(uploads.glob("*.png"))) < 2:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            server.kill()
            yield b"--b--\r\n"

        with server.client() as client:
            try:
                headers = {"Content-Type": "multipart/form-data; boundary=b"}
                client.post("/enhance", content=body(), headers=headers)
            except httpx.TransportError:
                pass
            else:
                raise AssertionError("nobody was left to answer")
        server.start()
        with server.client() as client:
            assert client.get("/health").status_code == 200
        assert "batch.requested" not in server.log
