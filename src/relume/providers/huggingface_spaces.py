"""Photos through Hugging Face Spaces, and any other gradio server, by gradio's own client.

The client works in threads of its own and cannot be interrupted, so it is only ever waited for with a limit, and
left behind where the limit is reached. What it would do without limits is done here instead: to find a Space
(it waits for one that never gets built), and to download what was made.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
import tempfile
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx
from gradio_client import Client, handle_file
from gradio_client.client import Job
from gradio_client.exceptions import AppError, AuthenticationError, ValidationError
from gradio_client.utils import QueueError, TooManyRequestsError

from relume.errors import OutputInvalid, ProviderBusy, ProviderError, ProviderRefused, ProviderUnavailable
from relume.imaging.photo import Photo
from relume.providers.exchange import incoming, outgoing
from relume.providers.gradio_endpoint import Endpoint, choose, last_file
from relume.providers.hosted import CONNECT_SECONDS, Wait, ask, failure
from relume.telemetry import logger

log = logger(__name__)

_SERVICE = "The Hugging Face Space"
_NOT_AVAILABLE = f"{_SERVICE} is not available."
_POLL_SECONDS = 0.05
_READ_SECONDS = 45.0
"""Between two pieces of an answer. Gradio sends a heartbeat every 15 seconds."""
_GOODBYE_SECONDS = 5.0
_OLDEST_GRADIO = 4
_MAX_BYTES = 200_000_000
_MAX_INFO_BYTES = 20_000_000
# https://huggingface.co/docs/huggingface_hub/package_reference/space_runtime. One that sleeps wakes up when asked.
_STAGES_AT_WORK = frozenset({"RUNNING", "RUNNING_BUILDING", "RUNNING_APP_STARTING", "SLEEPING"})

# First match wins: most of the client's own errors are ValueErrors.
_TRANSLATIONS: tuple[tuple[tuple[type[Exception], ...], type[ProviderError], str], ...] = (
    ((TooManyRequestsError, QueueError), ProviderBusy, f"{_SERVICE} is busy."),
    ((AuthenticationError, ValidationError), ProviderRefused, f"{_SERVICE} refused the request."),
    ((AppError,), OutputInvalid, f"{_SERVICE} failed at this photo."),
    ((httpx.HTTPError, httpx.InvalidURL, OSError), ProviderUnavailable, _NOT_AVAILABLE),
    # After a lost connection or a cancel at the other end.
    (
        (concurrent.futures.CancelledError, concurrent.futures.TimeoutError),
        ProviderUnavailable,
        _NOT_AVAILABLE,
    ),
)


@dataclass(frozen=True, slots=True)
class Space:
    """Which Space does a task, and how."""

    source: str
    """`owner/name`, or the URL of a gradio server."""
    endpoint: str | None = None
    """Like `/predict`. None finds the first one that takes a photo and gives one."""

    @property
    def is_url(self) -> bool:
        return self.source.startswith(("http://", "https://"))

    @property
    def model(self) -> str:
        """The model's family, as users know it: Spaces are named for it."""
        return "Gradio server" if self.is_url else self.source.rpartition("/")[2]


class Spaces:
    """`token` goes to Hugging Face and to Spaces named by id, never to a gradio server named by its URL."""

    def __init__(self, token: str | None, *, hub_url: str) -> None:
        self._token = token
        self._hub_url = hub_url

    async def run(self, space: Space, photo: Photo, scale: int, wait: Wait) -> Photo:
        """The photo as the Space has changed it, at whatever size it came. Raises ProviderError, JobCancelled."""
        url = space.source if space.is_url else await wait.until_done(self._locate(space.source))
        token = None if space.is_url else self._token
        await wait.until_done(_check_language(url, token))
        with tempfile.TemporaryDirectory(prefix="relume-space-") as folder:
            file = await wait.until_done(wait.context.in_thread(lambda: _written(photo, Path(folder))))
            client = await wait.until_done(
                anyio.to_thread.run_sync(lambda: _connected(url, token), abandon_on_cancel=True)
            )
            job: Job | None = None
            try:
                endpoint = choose(client.view_api(print_info=False, return_format="dict"), space.endpoint)
                with _translated():
                    job = _submitted(client, endpoint, file, scale)
                await wait.until_done(_finished(job), lambda: _progress(job))
                with _translated():
                    path = last_file(job.result(timeout=0))
                data = await wait.until_done(_downloaded(client, path))
            finally:
                _leave(client, job)
        return await wait.context.in_thread(lambda: incoming(data, photo, _SERVICE))

    async def _locate(self, space_id: str) -> str:
        """The URL of a Space that is at work."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        url = f"{self._hub_url}/api/spaces/{urllib.parse.quote(space_id)}"
        info = await _information(url, headers, follow_redirects=True)  # Of a Space that was renamed.
        try:
            host, stage = str(info["host"]), str(info["runtime"]["stage"])
        except (LookupError, TypeError) as error:
            raise ProviderRefused(_NOT_AVAILABLE) from error
        if stage not in _STAGES_AT_WORK:
            log.info("space.stage", space=space_id, stage=stage)
            raise ProviderRefused(_NOT_AVAILABLE)
        return host


async def _check_language(url: str, token: str | None) -> None:
    """Gradio before 4 spoke by websockets, which the client knows no more. It would find out late.

    And of servers older still it would send the configuration to a service at Hugging Face, to have it explained.
    """
    headers = {"x-hf-authorization": f"Bearer {token}"} if token else {}
    config = await _information(f"{url.rstrip('/')}/config", headers)
    told = config if isinstance(config, dict) else {}
    protocol, version = str(told.get("protocol", "")), str(told.get("version", ""))
    major = version.partition(".")[0]
    if not (protocol.startswith("sse") and major.isdecimal() and int(major) >= _OLDEST_GRADIO):
        log.info("space.protocol", url=url, protocol=protocol, version=version)
        raise ProviderRefused(_NOT_AVAILABLE)


async def _information(url: str, headers: dict[str, str], *, follow_redirects: bool = False) -> Any:
    """A JSON document. Raises ProviderError."""
    async with httpx.AsyncClient(timeout=CONNECT_SECONDS, follow_redirects=follow_redirects) as http:
        answer = await ask(http, "GET", url, service=_SERVICE, max_bytes=_MAX_INFO_BYTES, headers=headers)
    if not answer.is_success:
        # A Space that is gone reads like a lacking right (401): to a user it is not there.
        error = failure(answer.status, answer.headers, _SERVICE)
        raise ProviderRefused(_NOT_AVAILABLE) if isinstance(error, ProviderRefused) else error
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise ProviderRefused(_NOT_AVAILABLE) from error


def _written(photo: Photo, folder: Path) -> Path:
    image = outgoing(photo)
    file = folder / image.name
    file.write_bytes(image.data)
    return file


def _connected(url: str, token: str | None) -> Client:
    """A client that has read what the server offers. Blocks for up to some tens of seconds."""
    # The argument `analytics_enabled=False` alone does not keep the client from telling Hugging Face about its use.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    given: Any = token or False  # None would send the token that a user has saved on this machine.
    with _translated():
        return Client(
            url,
            token=given,
            verbose=False,
            max_workers=1,
            analytics_enabled=False,
            download_files=False,
            httpx_kwargs={"timeout": httpx.Timeout(_READ_SECONDS, connect=CONNECT_SECONDS)},
        )


def _submitted(client: Client, endpoint: Endpoint, file: Path, scale: int) -> Job:
    arguments = endpoint.arguments(handle_file(str(file)), scale)
    return client.submit(api_name=endpoint.name, **arguments)


async def _finished(job: Job) -> None:
    while not job.done():  # noqa: ASYNC110 (it is a thread that finishes)
        await asyncio.sleep(_POLL_SECONDS)


def _progress(job: Job | None) -> float:
    """0.2 in the queue, then as far as the Space tells, 0.5 where it tells nothing."""
    status = None if job is None else job.status()
    if status is None or status.code.name != "PROGRESS":
        return 0.5 if status is not None and status.code.name == "PROCESSING" else 0.2
    told = [unit.progress for unit in status.progress_data or [] if unit.progress is not None]
    return 0.2 + 0.7 * told[-1] if told else 0.5


async def _downloaded(client: Client, path: str) -> bytes:
    url = urllib.parse.urljoin(client.src_prefixed, "file=" + urllib.parse.quote(path))
    async with httpx.AsyncClient(
        timeout=_READ_SECONDS, headers=client.headers, cookies=client.cookies
    ) as http:
        answer = await ask(http, "GET", url, service=_SERVICE, max_bytes=_MAX_BYTES)
    if not answer.is_success:
        raise failure(answer.status, answer.headers, _SERVICE)
    return answer.body


def _leave(client: Client, job: Job | None) -> None:
    """Cancel what still runs at the Space and close the client. Both block, and nobody needs to wait for them."""

    def goodbye() -> None:
        client.httpx_kwargs["timeout"] = _GOODBYE_SECONDS
        try:
            if job is not None and not job.done():
                job.cancel()
        except Exception:  # A server that is gone, or too old to be cancelled at.
            log.info("space.not_cancelled", exc_info=True)
        finally:
            client.close()

    threading.Thread(target=goodbye, name="space-goodbye", daemon=True).start()


@contextmanager
def _translated() -> Iterator[None]:
    """Ours for the client's errors. What no table has is the answer of a server that speaks no gradio we know."""
    try:
        yield
    except ProviderError:
        raise
    except httpx.HTTPStatusError as error:
        raise failure(error.response.status_code, error.response.headers, _SERVICE) from error
    except Exception as error:
        log.info("space.failed", error=type(error).__name__, reason=str(error)[:500])
        if isinstance(error, AppError) and "quota" in error.message.lower():
            raise ProviderBusy(f"{_SERVICE} is busy.") from error
        for kinds, ours, sentence in _TRANSLATIONS:
            if isinstance(error, kinds):
                raise ours(sentence) from error
        raise ProviderRefused(_NOT_AVAILABLE) from error
