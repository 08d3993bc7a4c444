"""The tables. One row in `jobs` is one input, one result, one unit of retry, cost and cancellation."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Column, DateTime, Dialect, Enum, Index, Text, TypeDecorator, text
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python on every database. SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


ENDED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


_STATUS = Enum(
    JobStatus, native_enum=False, length=12, values_callable=lambda kind: [member.value for member in kind]
)


def _time(*, nullable: bool = True) -> Any:
    return Field(default=None, sa_column=Column(UtcDateTime, nullable=nullable))


def column(attribute: Any) -> Any:
    """A mapped attribute as the column it is: SQLModel types it as the value it holds."""
    return attribute


def worked_last(report: list[dict[str, Any]] | None) -> str | None:
    """The provider of the last task in a job's report that changed something, or of the last one if none did."""
    parts = report or []
    worked = [part for part in parts if part["changed"]] or parts
    return str(worked[-1]["provider"]) if worked else None


class Batch(SQLModel, table=True):
    """A group of jobs that one request made: contract C."""

    __tablename__ = "batches"

    id: UUID = Field(primary_key=True)
    contract: str = Field(max_length=20)
    client: str | None = Field(default=None, max_length=100)
    """As that of its jobs."""
    options: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    """What was asked for, in the contract's words."""
    created_at: datetime = _time(nullable=False)


class Job(SQLModel, table=True):
    """A restoration from its acceptance to its end, and after."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_status_available_at", "status", "available_at"),
        Index("ix_jobs_status_lease_until", "status", "lease_until"),
        Index("ix_jobs_created_at", "created_at"),
        Index("ix_jobs_contract_created_at", "contract", "created_at"),
        # The list of jobs, the newest first, of one state, one client or one kind.
        Index("ix_jobs_status_created_at", "status", "created_at"),
        Index("ix_jobs_client_created_at", "client", "created_at"),
        Index("ix_jobs_model_id_created_at", "model_id", "created_at"),
        # Two chores of the janitor: only of the rows that are still to be dealt with, however many have ended.
        Index(
            "ix_jobs_files_expire_at",
            "files_expire_at",
            sqlite_where=text("files_deleted_at is null"),
            postgresql_where=text("files_deleted_at is null"),
        ),
        Index(
            "ix_jobs_staged",
            "finished_at",
            sqlite_where=text("staged_key is not null"),
            postgresql_where=text("staged_key is not null"),
        ),
        Index("ix_jobs_batch_id_batch_index", "batch_id", "batch_index", unique=True),
        Index("ix_jobs_status_lane_created_at", "status", "lane", "created_at"),
        Index("ix_jobs_status_finished_at", "status", "finished_at"),
        Index(
            "ix_jobs_succeeded",
            "model_id",
            "finished_at",
            sqlite_where=text("status = 'succeeded'"),
            postgresql_where=text("status = 'succeeded'"),
        ),
    )

    id: UUID = Field(primary_key=True)
    contract: str = Field(max_length=20)
    client: str | None = Field(default=None, max_length=100)
    """A digest of the API key; without one, of the address where quotas are counted, else None."""

    batch_id: UUID | None = Field(default=None, foreign_key="batches.id")
    batch_index: int | None = None
    """Its place in the batch, from 0. A job whose place a retry has taken is in no batch any more."""
    original_filename: str | None = Field(default=None, max_length=255)
    """What the client called the file, made harmless. Shown, never used as a path, and forgotten with the files."""
    search_text: str | None = Field(default=None, sa_type=Text)
    """What the list of jobs is searched by: that name, else the prompt, by `filenames.folded`."""

    model_id: str = Field(max_length=100)
    strength: float
    scale: int
    parameters: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    """What the recipe asks for beyond strength and scale: a version, a style, a prompt."""
    local_only: bool = False
    """Whether only providers on this machine may do the work."""
    render_of: UUID | None = None
    """The job whose unmixed restoration this one mixes at another strength; that job's record may be gone."""

    status: JobStatus = Field(default=JobStatus.QUEUED, sa_column=Column(_STATUS, nullable=False))
    progress: float = 0.0
    step: str | None = Field(default=None, max_length=60)
    cancel_requested: bool = False
    error_code: str | None = Field(default=None, max_length=60)
    error_detail: str | None = Field(default=None, sa_type=Text)

    source_url: str | None = Field(default=None, sa_type=Text)
    input_key: str | None = None
    """Where the untouched original lies. None until it is fetched, where the client gave a URL."""
    input_format: str | None = Field(default=None, max_length=10)
    input_width: int | None = None
    input_height: int | None = None
    input_bytes: int | None = None

    staged_key: str | None = None
    """Set while the result still waits in its temporary place; the row is the proof that it is complete."""
    result_key: str | None = None
    result_format: str | None = Field(default=None, max_length=10)
    result_width: int | None = None
    result_height: int | None = None
    result_bytes: int | None = None
    unmixed_key: str | None = None
    """Where the restoration lies as it was before it was mixed over the original; None where it is not kept."""
    cache_key: str | None = Field(default=None, max_length=64, index=True)
    """Names photo, recipe and who would serve it: an equal one can be answered with this result."""
    outcome: str | None = Field(default=None, max_length=12)
    fidelity: float | None = None
    result_text: str | None = Field(default=None, sa_type=Text)
    report: list[dict[str, Any]] | None = Field(default=None, sa_column=Column(JSON))
    cost_usd: float = 0.0

    lane: str = Field(max_length=10)
    runs: int = 0
    """How often it was claimed."""
    lease_token: str | None = Field(default=None, max_length=40)
    lease_until: datetime | None = _time()
    available_at: datetime = _time(nullable=False)
    enqueued_at: datetime | None = _time()
    """When its id was last handed to the queue: the sweep repeats that only after a while."""
    deadline_at: datetime | None = _time()
    """When its client stops waiting: by then the last provider of a chain has its turn. None for no such moment."""

    webhook_url: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = _time(nullable=False)
    started_at: datetime | None = _time()
    finished_at: datetime | None = _time()
    files_expire_at: datetime | None = _time()
    files_deleted_at: datetime | None = _time()


class AttemptRow(SQLModel, table=True):
    """One try of one provider at one task of a job."""

    __tablename__ = "attempts"
    __table_args__ = (
        # Holds all that the figures of a day add up, so that the rows themselves are not read.
        Index("ix_attempts_started_at", "started_at", "provider", "error_class", "cost_usd"),
    )

    id: int | None = Field(default=None, primary_key=True)
    job_id: UUID = Field(foreign_key="jobs.id", index=True, ondelete="CASCADE")
    run: int
    """Which claim of the job it belongs to, from 1."""
    task: str = Field(max_length=30)
    provider: str = Field(max_length=30)
    model: str | None = Field(default=None, max_length=100)
    version: str | None = Field(default=None, max_length=100)
    started_at: datetime = _time(nullable=False)
    seconds: float
    external_id: str | None = Field(default=None, max_length=100)
    error_class: str | None = Field(default=None, max_length=60)
    cost_usd: float = 0.0


class ExternalRun(SQLModel, table=True):
    """A run begun at a hosted provider for one step of a job: asked for again instead of paid for again."""

    __tablename__ = "external_runs"

    job_id: UUID = Field(foreign_key="jobs.id", primary_key=True, ondelete="CASCADE")
    step: int = Field(primary_key=True)
    provider: str = Field(primary_key=True, max_length=30)
    external_id: str = Field(max_length=100)
    created_at: datetime = _time(nullable=False)


class IdempotencyKey(SQLModel, table=True):
    """Which request first used a key, and the job it made."""

    __tablename__ = "idempotency_keys"

    scope: str = Field(primary_key=True, max_length=64)
    """Whose key it is: a digest of the API key, or `open`."""
    key: str = Field(primary_key=True, max_length=255)
    request_digest: str = Field(max_length=64)
    job_id: UUID = Field(foreign_key="jobs.id", ondelete="CASCADE", index=True)
    batch_id: UUID | None = Field(default=None, foreign_key="batches.id", index=True)
    """Set where the request made a batch; `job_id` is then its first job."""
    created_at: datetime = _time(nullable=False)


class ApiKey(SQLModel, table=True):
    """A key that an operator has given out. The key itself is kept nowhere."""

    __tablename__ = "api_keys"

    digest: str = Field(primary_key=True, max_length=64)
    """SHA-256 of the key, hexadecimal: enough for a random key of 256 bits."""
    name: str = Field(max_length=60, unique=True)
    is_operator: bool = False
    """Whether it sees the jobs of all clients and the inside of the service, as `API_KEY` does."""
    local_only: bool = False
    """Whether what comes with it may be worked on by providers on this machine alone."""
    created_at: datetime = _time(nullable=False)
    revoked_at: datetime | None = _time()


class UsageDay(SQLModel, table=True):
    """What one client has asked for and spent on one day (UTC): the base of quotas."""

    __tablename__ = "usage_days"
    __table_args__ = (Index("ix_usage_days_day", "day"),)

    client: str = Field(primary_key=True, max_length=64)
    """A digest of the API key, or of the address where keys are not used."""
    day: date = Field(primary_key=True)
    jobs: int = 0
    cost_usd: float = 0.0


class Tally(SQLModel, table=True):
    """A counter over all processes and all time: each adds what it has counted every few seconds."""

    __tablename__ = "tallies"

    name: str = Field(primary_key=True, max_length=60)
    labels: str = Field(primary_key=True, max_length=255)
    """`label=value` pairs, sorted, as JSON."""
    value: float = 0.0


class ProcessRow(SQLModel, table=True):
    """A process of Relume that was alive at `seen_at`."""

    __tablename__ = "processes"

    id: UUID = Field(primary_key=True)
    kind: str = Field(max_length=12)
    """`api` or `worker`."""
    lanes: str = Field(max_length=40)
    """The lanes it works on, comma-separated; empty for an API process that runs no jobs."""
    host: str = Field(max_length=100)
    pid: int
    version: str = Field(max_length=40)
    started_at: datetime = _time(nullable=False)
    seen_at: datetime = _time(nullable=False)


class WebhookDelivery(SQLModel, table=True):
    """A message about an ended job that its client asked for, until it is delivered or given up."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (Index("ix_webhook_deliveries_due", "delivered_at", "given_up_at", "next_try_at"),)

    id: UUID = Field(primary_key=True)
    job_id: UUID = Field(foreign_key="jobs.id", ondelete="CASCADE", index=True)
    url: str = Field(sa_type=Text)
    body: str = Field(sa_type=Text)
    tries: int = 0
    last_status: int | None = None
    created_at: datetime = _time(nullable=False)
    next_try_at: datetime = _time(nullable=False)
    delivered_at: datetime | None = _time()
    given_up_at: datetime | None = _time()
