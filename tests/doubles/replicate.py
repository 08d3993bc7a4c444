"""Replicate on loopback: the same wire, real images, and every fault one may ask for.

In a test: `with ReplicateDouble() as double: … double.url …`. As a process of its own, told what to do through
`/control`: `python -m tests.doubles.replicate --port 0`.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import threading
from collections import Counter
from types import TracebackType
from typing import Any, Self

import uvicorn

from tests.doubles.replicate_app import build_app
from tests.doubles.replicate_state import ReplicateState
from tests.doubles.script import Fault, Plan, Received

_START_SECONDS = 20.0


class ReplicateDouble:
    """The server in a thread. `stop` refuses connections; `start` again has the same port and predictions."""

    def __init__(self, *, latency_seconds: float = 0.05, port: int = 0) -> None:
        self.state = ReplicateState(latency_seconds=latency_seconds)
        self._port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        listener = socket.create_server(("127.0.0.1", self._port), backlog=512)
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            build_app(self.state),
            log_level="critical",
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, args=(listener,), daemon=True)
        self._started = threading.Event()
        self._thread.start()
        if not self._started.wait(_START_SECONDS):
            raise RuntimeError("the double did not start")
        return self

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(_START_SECONDS)

    def reset(self) -> None:
        """Forget everything: predictions, files, faults, plans and what was received."""
        self.state.reset()

    def fail(self, *faults: Fault) -> None:
        self.state.faults += faults

    def plan(self, *plans: Plan) -> None:
        self.state.plans += plans

    @property
    def counts(self) -> Counter[str]:
        """How often each call came: create, get, cancel, upload, delete, output."""
        return self.state.counts

    @property
    def received(self) -> list[Received]:
        return self.state.received

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """What the predictions were asked for, in the order of their creation."""
        return [prediction.input for prediction in self.state.predictions.values()]

    @property
    def statuses(self) -> list[str]:
        return [prediction.status for prediction in self.state.predictions.values()]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serve(self, listener: socket.socket) -> None:
        with listener, asyncio.Runner() as runner:
            runner.run(self._serve_until_stopped(listener))

    async def _serve_until_stopped(self, listener: socket.socket) -> None:
        serving = asyncio.ensure_future(self._server.serve(sockets=[listener]))
        while not self._server.started and not serving.done():
            await asyncio.sleep(0.005)
        self._started.set()
        await serving


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.05, metavar="SECONDS")
    arguments = parser.parse_args()
    with ReplicateDouble(port=arguments.port, latency_seconds=arguments.latency) as double:
        print(double.url, flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    main()
