"""What only a real server shows: refused uploads, two ports, wrong settings."""

from __future__ import annotations

import base64
import json
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests import photos
from tests.functional.server import Server


def test_a_refused_upload_reaches_the_client_as_an_answer(live_server: Server) -> None:
    """The server answers before it has read everything, and the client must still be able to read it."""
    with live_server.client() as client:
        for size, status in ((15_100_000, 413), (60_000_000, 413)):
            answer = client.post("/v1/restore", files={"image": ("big.jpg", bytes(size))})
            assert answer.status_code == status
            assert answer.json()["code"] == "image_too_large"


def test_a_wrong_key_is_told_before_the_upload_is_read(live_server_with_key: Server) -> None:
    answer = httpx.post(
        f"{live_server_with_key.url}/v1/restore", files={"image": bytes(5_000_000)}, trust_env=False
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "key_missing")


def test_a_client_that_leaves_does_not_stop_its_job(tmp_path: Path) -> None:
    body = json.dumps({"image": base64.b64encode(photos.encoded("PNG")).decode(), "scale": 2}).encode()
    key = {"Idempotency-Key": "the same request"}
    head = "POST /api/ai/hd-image HTTP/1.1\r\nHost: x\r\nIdempotency-Key: the same request\r\n"
    with Server(tmp_path, PROVIDER="generic") as server, server.client() as client:
        with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0)) as leaving:
            leaving.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            wait_for_jobs(tmp_path, "queued", "running", "succeeded")
        wait_for_jobs(tmp_path, "succeeded")
        answer = client.post("/api/ai/hd-image", content=body, headers=key)
        assert answer.json()["success"] is True
        assert statuses(tmp_path) == ["succeeded"]


def wait_for_jobs(folder: Path, *wanted: str) -> None:
    """Until there is a job in one of these states."""
    deadline = time.monotonic() + 60
    while not set(statuses(folder)) & set(wanted):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def statuses(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "data" / "relume.sqlite3")) as database:
        return [row[0] for row in database.execute("select status from jobs")]


def test_a_second_port_serves_the_dashboard_at_its_root(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Server(tmp_path, DASHBOARD_PORT=str(port)) as server:
        own = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        with own:
            page = own.get("/")
            assert page.headers["content-type"].startswith("text/html")
            assert "content-security-policy" in page.headers
            assert own.get("/app.js").headers["content-type"].startswith("text/javascript")
            assert own.get("/../settings.py").status_code == 404
            assert own.get("/%00").status_code == 404
            answer = own.post("/v1/restore", files={"image": photos.encoded()})
            assert answer.status_code == 201
        assert server.wait([answer.json()["job_id"]])[0]["status"] == "succeeded"


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("RATE_LIMIT_PER_MIN", "many", "RATE_LIMIT_PER_MIN"),
        ("MODEL_DEFAULT", "nope", "restoration/gfpgans-1.4"),
        ("DATABASE_URL", "mysql://root@localhost/x", "neither postgresql nor sqlite"),
        ("CELERY_BROKER_URL", "kafka://localhost", "redis://"),
        ("STORAGE_DIR", "s3://bucket/prefix", "DATABASE_URL has to say where the database is"),
        ("STORAGE_DIR", "gs://bucket/prefix", "s3://bucket/prefix"),
        ("RESULT_DELIVERY", "redirect", "STORAGE_DIR is a folder"),
        ("API_PORT", "70000", "API_PORT"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_a_sentence(
    tmp_path: Path, setting: str, value: str, words: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "relume", "serve"],
        cwd=tmp_path,
        env={
            "PATH": "",
            "STORAGE_DIR": str(tmp_path / "data"),
            "PYTHONPATH": ":".join(sys.path),
            setting: value,
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert words in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_told(live_server: Server, tmp_path: Path) -> None:
    port = live_server.url.rpartition(":")[2]
    ended = subprocess.run(
        [sys.executable, "-m", "relume", "serve", "--port", port],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert port in ended.stderr
