"""What a process does, and what is refused before it starts."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Literal

from relume.errors import SettingsError
from relume.settings import Settings

LANES = ("hosted", "local")
LOCAL_PLACES = 2
"""One photo on the device, and one being decoded or encoded meanwhile."""

Role = Literal["all", "api", "worker"]
"""What a process does: `all` serves and runs jobs, `api` serves, `worker` runs jobs that a broker hands out."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def api_role(settings: Settings) -> Role:
    """With a broker, an API process leaves the jobs to the workers."""
    return "api" if settings.celery_broker_url else "all"


def refuse_what_is_not_here(settings: Settings) -> None:
    """Better no start than a start that quietly does something else than it was told. Raises SettingsError."""
    if settings.celery_broker_url and find_spec("celery") is None:
        raise SettingsError(
            "CELERY_BROKER_URL (or REDIS_URL) is set, but Celery is not installed. "
            "Run `pip install 'relume[distributed]'`, or unset it."
        )
