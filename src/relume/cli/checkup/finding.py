"""What a check says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from relume.errors import RelumeError


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """Relume works, with less than it could."""
    FAILED = "failed"
    """Something Relume needs is broken."""


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    status: Status
    details: str


def ok(what: str, details: str) -> Finding:
    return Finding(what, Status.OK, details)


def warning(what: str, details: str) -> Finding:
    return Finding(what, Status.WARNING, details)


def failed(what: str, details: str) -> Finding:
    return Finding(what, Status.FAILED, details)


def examine(checks: Iterable[tuple[str, Callable[[], Finding]]]) -> list[Finding]:
    """Run named checks. One that breaks is itself a finding, and the others still run."""
    return [_examine(what, check) for what, check in checks]


def _examine(what: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except RelumeError as error:
        return failed(what, error.detail)
    except Exception as error:  # noqa: BLE001 (whatever is broken, the doctor has to say so)
        return failed(what, f"{type(error).__name__}: {error}")
