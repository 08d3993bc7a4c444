"""A circuit breaker for each provider: one that mostly fails is left alone for a while."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Literal

State = Literal["open", "trial", "closed"]
"""What one process tells the others of its breaker."""

WINDOW_SECONDS = 60.0
LEAST_CALLS = 5
REST_SECONDS = 30.0


class Breaker:
    """Opens when over half of at least five calls within a minute failed; lets one trial through after its rest.

    In the memory of one process. What it finds out is told to `tell`, and `hear` takes what others found out.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[State], None] = lambda _state: None,
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._on_open = on_open
        self._tell = tell
        self._calls: deque[tuple[float, bool]] = deque()
        self._failed = 0
        """How many of these calls failed."""
        self._opened_at: float | None = None
        self._trial_running = False

    @property
    def state(self) -> str:
        """One of closed, open and half_open."""
        if self._opened_at is None:
            return "closed"
        return "half_open" if self._clock() - self._opened_at >= REST_SECONDS else "open"

    def allow(self) -> bool:
        """Whether a call may be made now. After the rest only one may, until its outcome is recorded."""
        if self.state == "half_open" and not self._trial_running:
            self._trial_running = True
            self._tell("trial")
            return True
        return self._opened_at is None

    def record(self, *, succeeded: bool) -> None:
        now = self._clock()
        if self._opened_at is not None:
            was_resting = self.state == "open"  # A call that had begun before ends in the rest.
            self._trial_running = False
            self._opened_at = None if succeeded else now
            self._forget()
            if not succeeded and not was_resting:
                self._on_open()
            self._tell("closed" if succeeded else "open")
            return
        self._calls.append((now, succeeded))
        self._failed += not succeeded
        while self._calls and now - self._calls[0][0] > WINDOW_SECONDS:
            self._failed -= not self._calls.popleft()[1]
        if len(self._calls) >= LEAST_CALLS and 2 * self._failed > len(self._calls):
            self._opened_at = now
            self._on_open()
            self._tell("open")

    def release(self) -> None:
        """A call ended without saying anything of the provider: the client cancelled it."""
        self._trial_running = False

    def hear(self, state: State, age_seconds: float) -> None:
        """Another process has opened its breaker, closed it, or begun its trial: one trial is enough for all."""
        if state == "closed":
            self._opened_at = None
            self._trial_running = False
            self._forget()
        elif state == "open" or self._opened_at is not None:
            self._opened_at = self._clock() - age_seconds

    def _forget(self) -> None:
        self._calls.clear()
        self._failed = 0
