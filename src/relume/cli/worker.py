"""`relume worker`: works on the jobs that a broker hands out."""

from __future__ import annotations

from typing import Annotated

import typer

from relume.cli.home import read_settings
from relume.errors import SettingsError


def worker(
    lanes: Annotated[
        str,
        typer.Option(help="Which jobs: hosted (they wait for others), local (they keep this machine busy)."),
    ] = "hosted,local",
    concurrency: Annotated[
        int | None,
        typer.Option(
            help="Jobs at once: of the hosted lane, or of the one lane that is named.",
            min=1,
            max=4096,
            show_default="WORKER_CONCURRENCY; 2 for local",
        ),
    ] = None,
) -> None:
    """Run the jobs of a service that has a broker, one process for each lane, until Ctrl-C."""
    settings = read_settings()
    wanted = _lanes(lanes)
    if settings.celery_broker_url is None:
        raise SettingsError(
            "CELERY_BROKER_URL is not set: a worker has nobody to take jobs from. "
            "Without a broker, `relume serve` runs them itself."
        )
    from relume.cli.working import Supervisor, is_supervised, work
    from relume.telemetry import configure_logging
    from relume.wiring.roles import refuse_what_is_not_here

    refuse_what_is_not_here(settings)
    if is_supervised():
        raise typer.Exit(work(settings, wanted[0], concurrency))
    configure_logging(settings.log_level)
    Supervisor(wanted, concurrency, settings.worker_stop_seconds).run()


def _lanes(given: str) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(lane.strip() for lane in given.split(",") if lane.strip()))
    if not wanted or not set(wanted) <= {"hosted", "local"}:
        raise typer.BadParameter("name hosted, local, or both with a comma", param_hint="--lanes")
    return wanted
