"""Every figure that Relume counts or measures, in one table. docs/metrics.md explains each; a test compares them.

Label values are bounded by the code that sets them: routes are templates, models are ids of recipes. Nothing that
a client may choose freely becomes a label.
"""

from __future__ import annotations

from dataclasses import dataclass

_WORK_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_ANSWER_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0)


@dataclass(frozen=True, slots=True)
class Counter:
    """Only ever grows, over all processes and restarts. Its name ends in `_total`."""

    name: str
    help: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often something took how long, over all processes and restarts. `buckets` are upper bounds."""

    name: str
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Gauge:
    """How something stands at the moment it is asked for."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


JOBS_ACCEPTED = Counter("relume_jobs_accepted_total", "Jobs that were accepted.", ("contract", "model"))
JOBS_ENDED = Counter(
    "relume_jobs_total",
    "Jobs that have ended, by who did the last step that changed something.",
    ("contract", "model", "provider", "status", "outcome"),
)
JOB_FAILURES = Counter("relume_job_failures_total", "Jobs that failed, by error code.", ("contract", "code"))
JOB_RERUNS = Counter(
    "relume_job_reruns_total", "Jobs that were claimed again after an interrupted run.", ("lane",)
)
JOB_DURATION = Histogram(
    "relume_job_duration_seconds", "From a job's first start to its end.", ("contract", "lane"), _WORK_SECONDS
)
JOB_WAIT = Histogram(
    "relume_job_wait_seconds", "From a job's acceptance to its first start.", ("lane",), _WORK_SECONDS
)
ATTEMPTS = Counter(
    "relume_provider_attempts_total", "Tries of a provider at a task.", ("provider", "task", "outcome")
)
ATTEMPT_FAILURES = Counter(
    "relume_provider_failures_total",
    "Tries of a provider that failed, by error class.",
    ("provider", "task", "error"),
)
FALLBACKS = Counter(
    "relume_provider_fallbacks_total",
    "Tasks that a provider did after another one had failed at them.",
    ("provider", "task"),
)
ATTEMPT_DURATION = Histogram(
    "relume_provider_attempt_seconds", "How long a try took.", ("provider", "task"), _WORK_SECONDS
)
COST = Counter("relume_provider_cost_usd_total", "Estimated cost in US dollars.", ("provider", "task"))
BREAKER_OPENINGS = Counter(
    "relume_breaker_openings_total", "How often a provider was left alone for a while.", ("provider", "task")
)
REQUESTS = Counter("relume_http_requests_total", "HTTP requests answered.", ("method", "route", "status"))
REQUEST_DURATION = Histogram(
    "relume_http_request_duration_seconds",
    "From a request to the beginning of its answer.",
    ("method", "route"),
    _ANSWER_SECONDS,
)
REFUSALS = Counter(
    "relume_http_refusals_total", "Requests refused for want of a key, a place or a quota.", ("reason",)
)
WEBHOOKS = Counter("relume_webhook_deliveries_total", "Tries to deliver a webhook.", ("outcome",))

DATABASE_UP = Gauge("relume_database_up", "1 if the database answered this scrape, else 0.")
QUEUE_DEPTH = Gauge("relume_queue_depth", "Jobs that wait for a worker.", ("lane",))
QUEUE_OLDEST = Gauge(
    "relume_queue_oldest_seconds", "Age of the oldest waiting job; 0 where none waits.", ("lane",)
)
JOBS_RUNNING = Gauge("relume_jobs_running", "Jobs that a worker has claimed.", ("lane",))
PROCESSES = Gauge("relume_processes", "Processes that gave a sign of life lately.", ("kind",))
BREAKER_STATE = Gauge(
    "relume_breaker_state",
    "In the process that answers: 0 closed, 1 on trial, 2 open.",
    ("provider", "task"),
)
STORAGE_FREE = Gauge("relume_storage_free_bytes", "Free space of the disk below the data folder.")
STORAGE_SIZE = Gauge("relume_storage_size_bytes", "Size of the disk below the data folder.")
BUILD = Gauge("relume_build_info", "Always 1; the label tells the version that answers.", ("version",))

COUNTERS: dict[str, Counter] = {
    metric.name: metric
    for metric in (
        JOBS_ACCEPTED,
        JOBS_ENDED,
        JOB_FAILURES,
        JOB_RERUNS,
        ATTEMPTS,
        ATTEMPT_FAILURES,
        FALLBACKS,
        COST,
        BREAKER_OPENINGS,
        REQUESTS,
        REFUSALS,
        WEBHOOKS,
    )
}
HISTOGRAMS: dict[str, Histogram] = {
    metric.name: metric for metric in (JOB_DURATION, JOB_WAIT, ATTEMPT_DURATION, REQUEST_DURATION)
}
GAUGES: dict[str, Gauge] = {
    metric.name: metric
    for metric in (
        DATABASE_UP,
        QUEUE_DEPTH,
        QUEUE_OLDEST,
        JOBS_RUNNING,
        PROCESSES,
        BREAKER_STATE,
        STORAGE_FREE,
        STORAGE_SIZE,
        BUILD,
    )
}
