"""Servers of a test's own, on free ports: they may be stopped, killed and emptied."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.patience import PATIENCE


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def until(what: Callable[[], bool], seconds: float = PATIENCE, why: str = "it did not happen") -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.05)


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class _Peer:
    """A server in a process of its own. Starting it again uses the same port."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def ready(self) -> bool:
        return answers(self.port)

    def start(self) -> Self:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.folder)
        try:
            until(self.ready, why=f"{type(self).__name__} did not start")
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class RedisServer(_Peer):
    """Keeps nothing: stopped and started, it is empty."""

    program = shutil.which("redis-server")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        assert self.program is not None
        return [
            self.program,
            *("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
        ]


def _postgres_programs() -> Path | None:
    """The folder of initdb, postgres and pg_isready; distributions keep it off the PATH."""
    folders = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    folders += [Path(found).resolve().parent for found in (shutil.which("postgres"),) if found]
    wanted = ("initdb", "postgres", "pg_isready")
    return next((folder for folder in folders if all((folder / name).exists() for name in wanted)), None)


class PostgresServer(_Peer):
    """A cluster of its own. PostgreSQL refuses to run as root, so then it runs as the user `postgres`."""

    programs = _postgres_programs()

    def __init__(self) -> None:
        super().__init__(
            Path(tempfile.mkdtemp(prefix="relume-postgres-"))
        )  # A test's folder is root's alone.
        self._data = self.folder / "cluster"
        self._as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._as_user:
            shutil.chown(self.folder, "postgres")

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def command(self) -> Sequence[str]:
        options = ["-p", str(self.port), "-k", str(self.folder), "-c", "listen_addresses=127.0.0.1"]
        return [*self._as_user, f"{self.programs}/postgres", "-D", str(self._data), *options]

    def start(self) -> Self:
        if not self._data.exists():
            initdb = [
                *self._as_user,
                *(f"{self.programs}/initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-N"),
            ]
            subprocess.run(initdb, check=True, capture_output=True, cwd=self.folder)
        return super().start()

    def ready(self) -> bool:
        asked = [f"{self.programs}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def stop(self) -> None:
        """At once, as a restart of the machine's service does: clients are thrown out, nothing is lost."""
        if self._process is not None:
            pid_file = self._data / "postmaster.pid"
            with suppress(FileNotFoundError, ProcessLookupError):
                os.kill(int(pid_file.read_text().splitlines()[0]), 2)  # SIGINT: the fast shutdown.
            self._process.wait(30)
            self._process = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        shutil.rmtree(self.folder, ignore_errors=True)


class Worker:
    """`relume worker` in a process of its own. Starting it again after `kill` uses the same settings."""

    def __init__(self, folder: Path, *options: str, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._command = [sys.executable, "-m", "relume", "worker", *options]
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> Self:
        """Returns when it takes jobs; at once where it is not waited for."""
        ready = self.log.count('"worker.started"')
        with (self._folder / "log.jsonl").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=os.environ | self._settings,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        if wait:
            until(lambda: self.log.count('"worker.started"') > ready, why=self.log[-3000:])
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        path = self._folder / "log.jsonl"
        return path.read_text() if path.exists() else ""

    def kill(self) -> None:
        """The command and its children, as the power would."""
        assert self._process is not None
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process(self._process.pid)
            family = [own, *own.children(recursive=True)]
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(family[1:], timeout=30)
        self._process.wait(30)

    def stop(self, seconds: float = 60) -> int:
        """As an operator does. Gives the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(seconds)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
