"""The real service in a process of its own, as people start it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.patience import PATIENCE

_ADDRESS = re.compile(r"at (http://\S+)/dashboard/")


class Server:
    """`relume serve` on a free port. Starting it again after `kill` uses the same port and data."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._settings = {
            "STORAGE_DIR": str(folder / "data"),
            "RATE_LIMIT_PER_MIN": "0",
            "API_PORT": "0",
        } | settings
        self.key = settings.get("API_KEY", "")
        self.url = ""

    def start(self) -> Self:
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("API_KEY", "DATABASE_URL", "PROVIDER")
        }
        with (self._folder / "log.jsonl").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "relume", "serve"],
                cwd=self._folder,
                env=environment | self._settings,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._wait_until_healthy()
        return self

    def kill(self) -> None:
        """As the power would: no chance to tidy up."""
        self._process.kill()
        self._end()

    def stop(self) -> int:
        """As an operator does. Gives the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._end()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return (self._folder / "log.jsonl").read_text()

    def client(self) -> httpx.Client:
        headers = {"X-API-KEY": self.key} if self.key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def submit(self, data: bytes, **fields: Any) -> str:
        with self.client() as client:
            form = {name: str(value) for name, value in fields.items()}
            answer = client.post("/v1/restore", files={"image": ("photo", data)}, data=form)
        assert answer.status_code == 201, answer.text
        job_id: str = answer.json()["job_id"]
        return job_id

    def states(self, job_ids: list[str]) -> list[dict[str, Any]]:
        with self.client() as client:
            return [client.get(f"/v1/jobs/{job_id}").json() for job_id in job_ids]

    def wait(self, job_ids: list[str], seconds: float = PATIENCE) -> list[dict[str, Any]]:
        """Poll until every job has ended."""
        deadline = time.monotonic() + seconds
        while True:
            states = self.states(job_ids)
            if all(state["status"] in ("succeeded", "failed") for state in states):
                return states
            assert time.monotonic() < deadline, [state["status"] for state in states]
            time.sleep(0.1)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.kill()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := _ADDRESS.search("".join(self._lines)):
                self.url = found[1]
                self._settings["API_PORT"] = self.url.rpartition(":")[2]
                if self._is_healthy():
                    return
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"the service did not start: {self.log[-2000:]}")

    def _is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def _end(self) -> int:
        code = self._process.wait(20)
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code
