"""`GET /metrics`: what all processes have counted, and how things stand now, for Prometheus."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import anyio.to_thread
from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from pydantic import BaseModel

from relume import __version__, metrics
from relume.errors import KeyMissing, KeyWrong
from relume.http.gate import Gate
from relume.http.lookout import Lookout
from relume.http.problems import documented
from relume.jobs.figures import LaneLoad
from relume.jobs.models import JobStatus, ProcessRow
from relume.jobs.pulse import ALIVE, KINDS
from relume.jobs.tallies import TallyKey
from relume.telemetry import logger
from relume.wiring.roles import LANES
from relume.wiring.services import Services

log = logger(__name__)

_PATIENCE_SECONDS = 5.0
_BREAKER_STATES = {"closed": 0, "half_open": 1, "open": 2}
_JSON = "application/json"

Series = dict[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the database tells at one moment."""

    now: datetime
    totals: dict[TallyKey, float]
    lanes: dict[str, LaneLoad]
    processes: list[ProcessRow]


class LaneCounts(BaseModel):
    waiting: int
    oldest_seconds: float
    """Age of the oldest waiting job; 0 where none waits."""
    running: int


class Counts(BaseModel):
    """`/metrics` for those who ask for JSON."""

    jobs: dict[str, int]
    """By status: those that wait or run now, and those that have ended since the counting began."""
    lanes: dict[str, LaneCounts]
    processes: dict[str, int]


def router(services: Services, gate: Gate, lookout: Lookout) -> APIRouter:
    routes = APIRouter(tags=["operations"])

    async def look() -> Snapshot:
        """What is shown has been written: so a counter never goes down, even if this process is killed next."""
        await services.pulse.flush()
        now = services.clock.now()
        return Snapshot(
            now=now,
            totals=await services.figures.totals(),
            lanes=await services.figures.lanes(),
            processes=await services.figures.processes(now - ALIVE),
        )

    @routes.get(
        "/metrics",
        summary="Figures for Prometheus, or as JSON",
        dependencies=[Depends(gate.require_key)],
        response_class=Response,
        responses=documented(KeyMissing, KeyWrong)
        | {200: {"content": {"text/plain": {}, _JSON: {"schema": Counts.model_json_schema()}}}},
    )
    async def show(request: Request) -> Response:
        """Counts of all processes since the first start; `Accept: application/json` gives jobs by status."""
        accept = request.headers.get("accept", "")
        if _JSON in accept:
            snapshot = await lookout.ask("figures", look, patience_seconds=_PATIENCE_SECONDS)
            return Response(counts(snapshot).model_dump_json(), media_type=_JSON, headers=_NO_STORE)
        try:
            found = await lookout.ask("figures", look, patience_seconds=_PATIENCE_SECONDS)
        except Exception as error:  # noqa: BLE001 (an alert is made of the other figures just now)
            log.warning("metrics.no_database", cause=repr(error))
            found = None
        families = [*_from_database(found), *await _of_this_process(services)]
        encode, media_type = _encoder(accept)
        return Response(encode(_registry(families)), headers=_NO_STORE | {"Content-Type": media_type})

    return routes


_NO_STORE = {"Cache-Control": "no-store"}


def counts(snapshot: Snapshot) -> Counts:
    jobs = {status.value: 0 for status in JobStatus}
    for load in snapshot.lanes.values():
        jobs[JobStatus.QUEUED] += load.waiting
        jobs[JobStatus.RUNNING] += load.running
    status_at = metrics.JOBS_ENDED.labels.index("status")
    for labels, value in _series(snapshot.totals, metrics.JOBS_ENDED.name, metrics.JOBS_ENDED.labels).items():
        jobs[labels[status_at]] += round(value)
    return Counts(
        jobs=jobs,
        lanes={
            lane: LaneCounts(
                waiting=load.waiting, oldest_seconds=_age(load, snapshot.now), running=load.running
            )
            for lane, load in _lanes(snapshot)
        },
        processes=_alive(snapshot),
    )


def _encoder(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):  # A version that is no number.
        return choose_encoder("")


def _registry(families: Sequence[Metric]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Given(families))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


class _Given(Collector):
    """A collector of what has been collected: prometheus-client's own cannot wait for a database."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _from_database(snapshot: Snapshot | None) -> Iterator[Metric]:
    """Without a database there are no counters, rather than such that seem to begin anew."""
    yield _gauge(metrics.DATABASE_UP, {(): float(snapshot is not None)})
    if snapshot is None:
        return
    for counter in metrics.COUNTERS.values():
        yield _counter(counter, snapshot.totals)
    for histogram in metrics.HISTOGRAMS.values():
        yield _histogram(histogram, snapshot.totals)
    lanes = list(_lanes(snapshot))
    yield _gauge(metrics.QUEUE_DEPTH, {(lane,): load.waiting for lane, load in lanes})
    yield _gauge(metrics.QUEUE_OLDEST, {(lane,): _age(load, snapshot.now) for lane, load in lanes})
    yield _gauge(metrics.JOBS_RUNNING, {(lane,): load.running for lane, load in lanes})
    yield _gauge(metrics.PROCESSES, {(kind,): number for kind, number in _alive(snapshot).items()})


async def _of_this_process(services: Services) -> list[Metric]:
    states = services.catalog.breakers.states()
    found = [
        _gauge(metrics.BUILD, {(__version__,): 1}),
        _gauge(metrics.BREAKER_STATE, {key: _BREAKER_STATES[state] for key, state in states.items()}),
    ]
    if services.data_folder is not None:
        disk = await anyio.to_thread.run_sync(shutil.disk_usage, services.data_folder)
        found += [
            _gauge(metrics.STORAGE_FREE, {(): disk.free}),
            _gauge(metrics.STORAGE_SIZE, {(): disk.total}),
        ]
    return found


def _counter(counter: metrics.Counter, totals: dict[TallyKey, float]) -> Metric:
    family = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
    for values, total in sorted(_series(totals, counter.name, counter.labels).items()):
        family.add_metric(values, total)
    return family


def _histogram(histogram: metrics.Histogram, totals: dict[TallyKey, float]) -> Metric:
    family = HistogramMetricFamily(histogram.name, histogram.help, labels=histogram.labels)
    sums = _series(totals, f"{histogram.name}_sum", histogram.labels)
    fallen: defaultdict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for (*values, bound), number in _series(
        totals, f"{histogram.name}_bucket", (*histogram.labels, "le")
    ).items():
        fallen[tuple(values)][bound] = number
    for labels, total in sorted(sums.items()):
        family.add_metric(labels, _cumulated(histogram, fallen[labels]), total)
    return family


def _cumulated(histogram: metrics.Histogram, fallen: dict[str, float]) -> list[tuple[str, float]]:
    """Prometheus wants of each bucket how many are not above it. Bounds of an older version are kept."""
    bounds = sorted({*map(str, histogram.buckets), "+Inf"} | fallen.keys(), key=float)
    total = 0.0
    return [(bound, total := total + fallen.get(bound, 0.0)) for bound in bounds]


def _gauge(gauge: metrics.Gauge, values: dict[tuple[str, ...], float]) -> Metric:
    family = GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _series(totals: dict[TallyKey, float], name: str, labels: Sequence[str]) -> Series:
    """The series of one name by the values of its labels. What another version counted otherwise is left out."""
    found: Series = {}
    for (series, text), value in totals.items():
        if series == name and (given := json.loads(text)).keys() == set(labels):
            found[tuple(given[label] for label in labels)] = value
    return found


def _lanes(snapshot: Snapshot) -> Iterator[tuple[str, LaneLoad]]:
    for lane in dict.fromkeys((*LANES, *snapshot.lanes)):
        yield lane, snapshot.lanes.get(lane, LaneLoad())


def _age(load: LaneLoad, now: datetime) -> float:
    return max((now - load.oldest_since).total_seconds(), 0.0) if load.oldest_since else 0.0


def _alive(snapshot: Snapshot) -> dict[str, int]:
    kinds = [row.kind for row in snapshot.processes]
    return {kind: kinds.count(kind) for kind in KINDS}
