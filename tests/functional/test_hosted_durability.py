"""Kill -9 while a prediction runs: the same one is asked for again, and none is paid for twice."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tests import photos
from tests.doubles.replicate import ReplicateDouble
from tests.functional.server import Server


def remembered(folder: Path) -> int:
    """How many predictions have their ids in the database."""
    with closing(sqlite3.connect(folder / "data" / "relume.sqlite3")) as database:
        number: int = database.execute("select count(*) from external_runs").fetchone()[0]
    return number


def test_a_prediction_survives_the_death_of_the_service(tmp_path: Path) -> None:
    with ReplicateDouble(latency_seconds=3.0) as double:
        hosted = {
            "REPLICATE_API_TOKEN": "r8_test",
            "REPLICATE_BASE_URL": double.url,
            "LEASE_SECONDS": "3",
            "SWEEP_SECONDS": "0.2",
        }
        with Server(tmp_path, **hosted) as server:
            jobs = [server.submit(photos.encoded("PNG", 96 + number, 96), upscale=2) for number in range(6)]
            deadline = time.monotonic() + 20
            while remembered(tmp_path) < 6:  # Before it is, a created run can only be ended by Cancel-After.
                assert time.monotonic() < deadline
                time.sleep(0.05)
            server.kill()
            server.start()
            states = server.wait(jobs)
        assert [state["status"] for state in states] == ["succeeded"] * 6
        assert double.counts["create"] == 6
        assert double.statuses == ["succeeded"] * 6
    database = sqlite3.connect(tmp_path / "data" / "relume.sqlite3")
    rows = database.execute("select job_id, provider, error_class, cost_usd from attempts").fetchall()
    database.close()
    assert len(rows) == 6
    assert all(row[1:3] == ("replicate", None) and row[3] > 0 for row in rows)
    assert remembered(tmp_path) == 0
