"""All parts of a process, connected."""

from __future__ import annotations

from relume.database import database_url
from relume.fetch import UrlFetcher
from relume.jobs.figures import Figures
from relume.jobs.keys import KeyRing
from relume.jobs.pulse import Pulse
from relume.jobs.recent import RecentFigures
from relume.outbound import UrlPolicy
from relume.settings import Settings
from relume.telemetry import logger
from relume.wiring.engine import (
    build_batches,
    build_ground,
    build_janitor,
    build_jobs,
    build_runner,
    build_webhooks,
)
from relume.wiring.queues import build_links, build_queue
from relume.wiring.roles import LANES, Role, api_role, refuse_what_is_not_here
from relume.wiring.services import Services

log = logger(__name__)


def build_services(settings: Settings, role: Role | None = None, lanes: tuple[str, ...] = LANES) -> Services:
    """Connects the parts of a process with a role, the API's by default; starts nothing.

    Raises SettingsError for what this version cannot do.
    """
    role = role or api_role(settings)
    refuse_what_is_not_here(settings)
    if role != "all" and database_url(settings).get_backend_name() == "sqlite":
        log.warning("database.one_machine_only")
    lanes = () if role == "api" else lanes
    links = build_links(settings)
    ground = build_ground(settings, links)
    policy = UrlPolicy(settings.fetch_allowed_hosts)
    fetcher = UrlFetcher(policy)
    runner = build_runner(ground, fetcher)
    celery, queue = build_queue(settings, role, ground.repository.due, ground.clock, runner)
    jobs, figures = build_jobs(ground, queue), Figures(ground.database)
    kind = "worker" if role == "worker" else "api"
    return Services(
        settings=settings,
        clock=ground.clock,
        role=role,
        lanes=lanes,
        catalog=ground.catalog,
        database=ground.database,
        store=ground.store,
        runner=runner,
        jobs=jobs,
        batches=build_batches(ground, jobs, queue),
        keys=KeyRing(ground.database, ground.clock),
        queue=queue,
        janitor=build_janitor(ground),
        fetcher=fetcher,
        policy=policy,
        webhooks=build_webhooks(ground, policy),
        limits=ground.limits,
        figures=figures,
        recent=RecentFigures(ground.database),
        meters=ground.meters,
        pulse=Pulse(figures, ground.meters, ground.clock, kind=kind, lanes=lanes),
        celery=celery,
        links=links.parts,
    )
