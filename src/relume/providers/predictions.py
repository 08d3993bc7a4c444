"""Predictions, as Replicate and Cog speak of them: what one says, and what went wrong in our words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from relume.errors import (
    OutputInvalid,
    ProviderBusy,
    ProviderError,
    ProviderNoCredit,
    ProviderRefused,
    ProviderUnavailable,
)
from relume.providers.hosted import retry_after_seconds

_IDS = re.compile(r"[A-Za-z0-9_-]{1,128}")
_STATUSES = frozenset({"starting", "processing", "succeeded", "failed", "canceled", "aborted"})
_RUNNING = frozenset({"starting", "processing"})
_PERCENT = re.compile(r"(\d{1,3})%\s*\|")
"""A line of tqdm's, which most models print to their logs."""
_RESETS_IN = re.compile(r"resets in ~?(\d+(?:\.\d+)?)\s*s", re.IGNORECASE)
_MAX_REASON_CHARACTERS = 500

_FAULTS: Mapping[int, tuple[type[ProviderError], str]] = {
    401: (ProviderRefused, "{who} did not accept our key."),
    402: (ProviderNoCredit, "{who} has no credit left for us."),
    403: (ProviderRefused, "{who} did not accept our key."),
    404: (ProviderRefused, "{who} does not know what it was asked for."),
    409: (ProviderBusy, "{who} is busy at the moment."),
    413: (ProviderRefused, "{who} found the photo too large."),
    422: (ProviderRefused, "{who} did not accept the request."),
    429: (ProviderBusy, "{who} is busy at the moment."),
}
"""What an HTTP status means. All of 5xx: cannot be reached; all others: an answer we do not know."""

_ENDINGS: Mapping[str, str] = {
    "failed": "{who} could not process this.",
    "canceled": "The run at {who} was cancelled.",
    "aborted": "{who} did not start in time.",
}

_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Prediction:
    """One run of a model, as it stands."""

    id: str
    status: str
    output: Any = None
    error: str | None = None
    predict_seconds: float | None = None
    percent: int = 0
    """How far the model says it is, 0 to 100; 0 where it says nothing."""
    is_erased: bool = False
    """Whether the provider has deleted its input and output: one hour after it ended."""

    @property
    def is_running(self) -> bool:
        return self.status in _RUNNING


def parse(body: object, who: str, *, default_id: str | None = None) -> Prediction:
    """Read a prediction's JSON, which at Cog may leave out the id. Raises ProviderError when it is none."""
    fields = body if isinstance(body, dict) else {}
    id_, status = fields.get("id") or default_id, fields.get("status")
    if not isinstance(id_, str) or not _IDS.fullmatch(id_) or status not in _STATUSES:
        raise ProviderError(f"{who} gave an answer we do not understand.")
    metrics = fields.get("metrics")
    seconds = metrics.get("predict_time") if isinstance(metrics, dict) else None
    return Prediction(
        id=id_,
        status=status,
        output=fields.get("output"),
        error=str(fields["error"]) if fields.get("error") else None,
        predict_seconds=float(seconds) if isinstance(seconds, int | float) else None,
        percent=_percent(fields.get("logs")),
        is_erased=fields.get("data_removed") is True,
    )


def check_succeeded(prediction: Prediction, who: str) -> None:
    """Raises ProviderError for any other end; the provider's own words are its cause."""
    if prediction.status != "succeeded":
        sentence = _ENDINGS[prediction.status].format(who=who)
        raise ProviderError(sentence) from RuntimeError(_shortened(prediction.error or prediction.status))


def output_url(output: object, who: str) -> str:
    """The URL of the first file of an output: a URL, a list of URLs, or a file object. Raises OutputInvalid."""
    if isinstance(output, list) and output:
        output = output[0]
    if isinstance(output, dict):
        output = output.get("url")
    if not isinstance(output, str) or not output:
        raise OutputInvalid(f"{who} finished, but gave no image.")
    return output


def fault_of(response: httpx.Response, who: str, *, repeatable: bool = True) -> ProviderError:
    """The error that an answer outside 2xx stands for, with the provider's own words as its cause.

    After a call that cost money (`repeatable` False), only 503 says that nothing was begun: behind any other
    5xx a run may have started whose answer was lost on the way.
    """
    status = response.status_code
    unknown = (ProviderError, "{who} gave an answer we do not understand.")
    is_sure = repeatable or status == httpx.codes.SERVICE_UNAVAILABLE
    unreachable = (
        ProviderUnavailable if is_sure else ProviderError,
        "{who} cannot be reached at the moment.",
    )
    kind, sentence = _FAULTS.get(status, unreachable if status >= 500 else unknown)
    extra = {}
    if status == 429 and (wait_seconds := _retry_after(response)) is not None:
        extra["retry_after_seconds"] = wait_seconds
    error = kind(sentence.format(who=who), **extra)
    error.__cause__ = RuntimeError(f"HTTP {status}: {_shortened(response.text)}")
    return error


def broken(error: httpx.HTTPError | httpx.InvalidURL, who: str, *, repeatable: bool) -> ProviderError:
    """The error that a failed connection stands for.

    What cost money and may have been sent (`repeatable` False) must not be sent again: it cannot pass.
    """
    if repeatable or isinstance(error, _NOTHING_SENT):
        fault: ProviderError = ProviderUnavailable(f"{who} cannot be reached at the moment.")
    else:
        fault = ProviderError(f"The connection to {who} broke off.")
    fault.__cause__ = error
    return fault


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, from the header or else from the words of the answer."""
    seconds = retry_after_seconds(response.headers.get("Retry-After", ""))
    if seconds is not None:
        return seconds
    words = _RESETS_IN.search(response.text)
    return float(words[1]) if words else None


def _percent(logs: object) -> int:
    found = _PERCENT.findall(logs[-2000:]) if isinstance(logs, str) else []
    return min(int(found[-1]), 100) if found else 0


def _shortened(text: str) -> str:
    return text[:_MAX_REASON_CHARACTERS]
