"""Kill -9 at any moment: every accepted job still ends, once."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import psutil

from tests import photos
from tests.functional.server import Server

LEASE = {"LEASE_SECONDS": "3", "SWEEP_SECONDS": "0.2", "RESULT_CACHE_ENABLED": "false"}


def ends(server: Server) -> dict[str, int]:
    """How often the log says that each job ended."""
    count: dict[str, int] = {}
    for line in server.log.splitlines():
        if line.startswith("{"):
            event = json.loads(line)
            if event["event"] in ("restore.succeeded", "restore.failed", "restore.cancelled"):
                count[event["job_id"]] = count.get(event["job_id"], 0) + 1
    return count


def test_thirty_jobs_survive_kills_and_end_once_each(tmp_path: Path) -> None:
    data = photos.encoded("PNG", 240, 180)
    with Server(tmp_path, **LEASE) as server:
        jobs = [server.submit(data, upscale=2) for _ in range(30)]
        for _ in range(2):
            time.sleep(1.0)
            server.kill()
            server.start()
        states = server.wait(jobs)
        assert [state["status"] for state in states] == ["succeeded"] * 30
        count = ends(server)
        assert set(count) == set(jobs)
        assert all(count[job] == 1 for job in jobs), count
        with server.client() as client:
            for state in states:
                result = client.get(state["result_url"]).content
                assert photos.opened(result).size == (480, 360)
    data_folder = tmp_path / "data"
    assert len(list((data_folder / "temp_uploads").glob("*.png"))) == 30
    kept = [path.name for path in (data_folder / "processed_images").glob("*.png")]
    assert sum(name.endswith(".unmixed.png") for name in kept) == 30
    assert len(kept) == 60, "of each its result, and the restoration before it was mixed"
    assert all(path.read_bytes() == data for path in (data_folder / "temp_uploads").glob("*.png"))


def test_a_stop_gives_running_jobs_back_at_once(tmp_path: Path) -> None:
    with Server(tmp_path, PROVIDER="generic", LEASE_SECONDS="600") as server:
        jobs = [server.submit(photos.encoded()) for _ in range(3)]
        time.sleep(0.3)
        assert server.stop() in (0, -15)
        with sqlite3.connect(tmp_path / "data" / "relume.sqlite3") as database:
            rows = database.execute("select status, runs, lease_token from jobs").fetchall()
        database.close()
        assert rows == [("queued", 0, None)] * 3
        server.start()
        assert {state["status"] for state in server.wait(jobs, 20)} == {"succeeded"}


def test_many_jobs_in_a_row_do_not_leak(tmp_path: Path) -> None:
    data = photos.encoded("JPEG")
    with Server(tmp_path, RESULT_CACHE_ENABLED="false") as server:
        process = psutil.Process(server.pid)
        for _ in range(40):
            server.wait([server.submit(data)])
        after_warm_up = process.memory_info().rss
        files = process.num_fds()
        for _ in range(60):
            server.wait([server.submit(data)])
        grown_mb = (process.memory_info().rss - after_warm_up) / 1e6
        assert grown_mb < 20, f"{grown_mb:.0f} MB in 60 jobs"
        assert process.num_fds() <= files + 3
