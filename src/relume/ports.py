"""The seams: what the engine needs from the outside, with no vendor's name in it.

Anything that keeps these promises can take a place: tests put memory in, deployments put S3 in.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeVar
from uuid import UUID

import anyio
import anyio.to_thread

from relume.errors import JobCancelled, LeaseLost
from relume.imaging.photo import Photo
from relume.metrics import Counter, Histogram
from relume.tasks import Task

T = TypeVar("T")

CODECS = 2


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one step did, in a user's words."""

    name: str
    changed: bool
    detail: str
    """A sentence: what was measured and what was done, or why nothing was."""
    confidence: float
    """0 to 1: how sure the step was of what it measured."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Credit:
    """Whose trained weights made pixels on this machine, and what their licence allows."""

    model: str
    version: str
    licence: str
    """As published, or `unknown`."""
    licence_note: str = ""
    """What the licence's name does not tell, in a sentence."""
    by: str = ""
    """The authors; empty where they are not known."""
    project: str = ""
    """The address where the weights are published; empty where it is not known."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a provider gives back, and what it used to make it. `photo` or `text`, as the task asks."""

    photo: Photo | None
    provider: str
    model: str
    """The model's family, as users know it: GFPGAN, Real-ESRGAN, Relume built-in."""
    version: str
    steps: tuple[StepReport, ...] = ()
    changed: bool = True
    generative: bool = False
    """Whether a trained generative model made pixels: it decides what the result's provenance says."""
    fallback: bool = False
    """Whether another provider was meant to do it, and failed."""
    external_id: str | None = None
    """The provider's own id of the run. What was paid for one id is counted once."""
    cost_usd: float = 0.0
    text: str | None = None
    credits: tuple[Credit, ...] = ()
    """Of the local weights that made pixels of it."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a provider had begun before it failed: `extra["spent"]` of the error that it raises."""

    model: str
    version: str
    external_id: str
    cost_usd: float
    """Of the failed run: what the provider bills all the same."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one provider at one task: kept whether it worked or not."""

    task: str
    provider: str
    started_at: datetime
    seconds: float
    model: str | None = None
    version: str | None = None
    external_id: str | None = None
    error_class: str | None = None
    """None when it worked."""
    cost_usd: float = 0.0
    fallback: bool = False
    """Whether another provider had failed at the task before."""


class ExternalIds(Protocol):
    """Remembers the run that a hosted provider has begun for a step of a job, so that nobody pays twice.

    An id outlives the death of this process; it is forgotten when the job has ended.
    """

    async def recall(self, step: int, provider: str) -> str | None: ...

    async def remember(self, step: int, provider: str, external_id: str) -> None:
        """On return the id is durable. A second call for the same step and provider replaces it."""
        ...

    async def forget(self, step: int, provider: str) -> None:
        """The remembered run failed or was cancelled: another try may begin another one."""
        ...


class NoExternalIds:
    """Remembers nothing. For runs without a job: the command line, and tests."""

    async def recall(self, step: int, provider: str) -> str | None:
        del step, provider
        return None

    async def remember(self, step: int, provider: str, external_id: str) -> None: ...

    async def forget(self, step: int, provider: str) -> None: ...


@dataclass(slots=True)
class RunContext:
    """What a provider may know of the run it works for. It knows nothing of jobs, databases or HTTP.

    Safe to use from a worker thread.
    """

    deadline: float | None = None
    """On `time.monotonic`'s clock. For a provider: when to give up; what is given up is cancelled there. For a
    chain: when somebody stops waiting for the result, which is made all the same."""
    step: int = 0
    """Which task of the recipe this is, from 0."""
    external_ids: ExternalIds = field(default_factory=NoExternalIds)
    on_progress: Callable[[float, str], None] = lambda _fraction, _step: None
    on_attempt: Callable[[Attempt], None] = lambda _attempt: None
    cancelled: threading.Event = field(default_factory=threading.Event)
    lost: threading.Event = field(default_factory=threading.Event)
    """Set when another worker has taken over: stop here, but leave what runs at a provider to the other."""
    codecs: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(CODECS))
    """How many photos are decoded, compared or encoded at once, and with it the memory. One for a pipeline."""

    def progress(self, fraction: float, step: str) -> None:
        """Tell how far this task is (0 to 1) and what is being done. Also the place where a cancel takes hold.

        Raises JobCancelled, and LeaseLost.
        """
        if self.lost.is_set():
            raise LeaseLost("Another worker has taken over this job.")
        if self.cancelled.is_set():
            raise JobCancelled("The job was cancelled.")
        self.on_progress(min(max(fraction, 0.0), 1.0), step)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Work on pixels in a worker thread, when `codecs` has a place."""
        return await anyio.to_thread.run_sync(work, limiter=self.codecs)

    def part(self, start: float, end: float) -> RunContext:
        """A context whose 0 to 1 is `start` to `end` of this one."""
        return replace(
            self,
            on_progress=lambda fraction, step: self.on_progress(start + (end - start) * fraction, step),
        )


class Provider(Protocol):
    """Anything that can carry out a task on a photo.

    `run` either returns a result or raises a RelumeError; it never returns the input for want of a better
    answer. It is cancelled between steps and tiles, through its context.
    """

    @property
    def name(self) -> str: ...

    @property
    def is_local(self) -> bool:
        """Whether photos stay on this machine."""
        ...

    @property
    def needs_device(self) -> bool:
        """Whether it keeps this machine's processor or GPU busy, so that only few may run at once."""
        ...

    def supports(self, task: Task) -> bool: ...

    def unavailable(self) -> str | None:
        """Why it cannot be used as configured (a missing token, missing weights), or None."""
        ...

    def estimate_usd(self, task: Task) -> float:
        """What one run of a task it supports usually costs; 0 for what is free or not priced."""
        ...

    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        """`photo` is None only for tasks that need none.

        When `context` is cancelled or its deadline has passed, a hosted run is cancelled at the provider, and
        JobCancelled or ProviderTimeout raised. On asyncio's own cancellation (this process stops) it is left
        running: its id is remembered, and the next run of the job asks for it.
        """
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """The time in UTC, aware."""
        ...


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    size_bytes: int
    modified_at: datetime


class Store(Protocol):
    """Files by key. A key is `area/name`; an object appears whole or not at all."""

    async def put(self, key: str, data: bytes) -> None:
        """Write a new object. Raises Conflict if the key exists: nothing is ever overwritten."""
        ...

    async def get(self, key: str) -> bytes:
        """Raises NotFound."""
        ...

    async def size(self, key: str) -> int:
        """In bytes. Raises NotFound."""
        ...

    def stream(self, key: str) -> AsyncIterator[bytes]:
        """The object in chunks. Raises NotFound before the first chunk."""
        ...

    async def move(self, source: str, target: str) -> None:
        """Rename within one area. Raises NotFound, or Conflict if the target exists.

        The object is always there under one of the two names, for a moment under both: where a process dies in
        that moment, they stay, and the target is complete.
        """
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are gone already are no error."""
        ...

    def list_objects(self, prefix: str) -> AsyncIterator[StoredObject]: ...

    async def remove_unfinished(self, before: datetime) -> int:
        """Delete what a killed process left half written, if older than `before`. Returns how many."""
        ...

    async def presigned(self, key: str, expires: timedelta, method: Literal["GET", "HEAD"]) -> str | None:
        """A URL at which the store itself answers `method` for this object, to anybody, until it expires.

        None where the store cannot be reached by clients. Does not look whether the object exists.
        """
        ...

    async def check(self) -> None:
        """Prove that the store can be written and read, and leave no trace.

        Raises OSError with what stands in the way.
        """
        ...


class Fetcher(Protocol):
    """Gets an image from a public URL that a client handed over."""

    async def check(self, url: str) -> None:
        """What can be told without a download. Raises UrlRefused."""
        ...

    async def fetch(self, url: str, max_bytes: int) -> bytes:
        """Raises UrlRefused, FetchFailed, ImageTooLarge."""
        ...


@dataclass(frozen=True, slots=True)
class JobEvent:
    """A change of a job that somebody may be waiting for. The database stays the truth."""

    job_id: UUID
    status: str
    progress: float
    step: str | None = None


class Events(Protocol):
    """Wake-ups for those who watch a job. Lossy by design: a watcher also looks at the database."""

    def publish(self, event: JobEvent) -> None: ...

    def subscribe(self, job_id: UUID) -> AsyncIterator[JobEvent | None]:
        """Events as they come; None every few seconds without one."""
        ...


class Meters(Protocol):
    """Counts what happens. Cheap enough for every request and job; to be called on the event loop.

    Each call names all labels that the metric has, with values from a small set.
    """

    def count(self, counter: Counter, amount: float = 1.0, /, **labels: str) -> None: ...

    def observe(self, histogram: Histogram, value: float, /, **labels: str) -> None: ...


class NoMeters:
    """Counts nothing. For tests that do not look."""

    def count(self, counter: Counter, amount: float = 1.0, /, **labels: str) -> None: ...

    def observe(self, histogram: Histogram, value: float, /, **labels: str) -> None: ...


NO_METERS = NoMeters()


class Queue(Protocol):
    """Carries job ids from whoever accepted a job to whoever runs it. May lose and repeat them."""

    def enqueue(self, job_id: UUID, lane: str) -> None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class BreakerNotice:
    """What a process has found out about a provider at a kind of task."""

    provider: str
    task: str
    state: Literal["open", "trial", "closed"]
    age_seconds: float = 0.0
    """How long ago it was found out."""


class BreakerNews(Protocol):
    """Tells the other processes of breakers, and hears from them. Lossy by design: each has its own breakers."""

    def tell(self, notice: BreakerNotice) -> None: ...

    def listen(self, hear: Callable[[BreakerNotice], None]) -> None:
        """Call `hear`, in the event loop, with what others tell."""
        ...


class NoBreakerNews:
    """For a process that is alone."""

    def tell(self, notice: BreakerNotice) -> None: ...

    def listen(self, hear: Callable[[BreakerNotice], None]) -> None: ...
