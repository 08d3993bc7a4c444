"""How Relume uses Celery: one task, which carries a job's id, and one queue for each lane."""

from __future__ import annotations

from celery import Celery
from kombu.entity import Queue

from relume.settings import Settings

TASK = "relume.run"

_CONNECT_SECONDS = 4.0
_VISIBILITY_SECONDS = 3600
"""Redis hands a message out again when it was not acknowledged for so long. Nothing depends on it: a job's
lease decides who runs it, and the sweep finds those of dead workers much sooner."""


def queue_name(prefix: str, lane: str) -> str:
    return f"{prefix}.{lane}"


def make_app(settings: Settings, lanes: tuple[str, ...]) -> Celery:
    """The Celery application of this process. Nothing is connected yet."""
    app = Celery("relume", broker=settings.celery_broker_url, backend=settings.celery_result_backend)
    app.conf.update(
        # A message may be lost or come twice: leases and the sweep see to that. It should not be lost lightly.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_ignore_result=settings.celery_result_backend is None,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        task_queues=[_queue(settings.queue_prefix, lane) for lane in lanes],
        task_create_missing_queues=False,
        # Flower and others that listen.
        task_send_sent_event=True,
        worker_send_task_events=True,
        # The broker may be away at any time, for any time.
        broker_connection_timeout=_CONNECT_SECONDS,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_transport_options(str(settings.celery_broker_url)),
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # Our logs and our signals, not Celery's.
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        enable_utc=True,
    )
    return app


def _queue(prefix: str, lane: str) -> Queue:
    return Queue(queue_name(prefix, lane))  # type: ignore[no-untyped-call]


def _transport_options(url: str) -> dict[str, object]:
    if not url.startswith("redis"):
        return {}
    return {
        "visibility_timeout": _VISIBILITY_SECONDS,
        "socket_connect_timeout": _CONNECT_SECONDS,
        "socket_keepalive": True,
    }
