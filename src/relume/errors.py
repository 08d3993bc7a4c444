"""Every error Relume raises on purpose, in one tree.

RelumeError                      code, HTTP status, can it pass, the sentence a user reads
├── InvalidInput            400  what the client sent cannot be used
│   ├── InvalidParameter         a field is missing, of the wrong type, or out of range
│   ├── UnknownModel             no recipe has that model id
│   ├── ImageMissing             no image was sent, or it is empty
│   ├── ImageUnreadable          the bytes are no image that can be decoded
│   ├── ImageDimensions          more pixels than allowed
│   ├── UrlRefused               a URL Relume does not fetch from, or post to
│   └── IdempotencyMismatch      the key was used with another request
├── KeyMissing              401  an API key is required
├── KeyWrong                403  the API key is not the right one
├── NotFound                404  no such job or file
├── MethodNotAllowed        405  the path exists, the method does not
├── Conflict                409  the job's state does not allow it
├── Expired                 410  the file was deleted after its time
├── ImageTooLarge           413  more bytes than allowed
├── UnsupportedFormat       415  an image format the contract does not take
├── RateLimited             429  too many requests; says when to come back
│   └── QuotaExceeded            the client's jobs or dollars for today are used up
├── RestoreDisabled         503  the feature flag is off
├── ServiceAway             503  the database is away for a moment; says when to come back
├── NoProvider              503  nothing is configured that could do it
├── FetchFailed             502  the URL handed over could not be fetched as an image
├── ProviderError           502  one provider failed
│   ├── ProviderUnavailable      cannot be reached, or has no room now (can pass)
│   ├── ProviderBusy             asked us to slow down; may say for how long (can pass)
│   ├── ProviderTimeout          did not finish in time; its run was cancelled
│   ├── ProviderRefused          took the request for wrong, or its key
│   ├── ProviderNoCredit         wants to be paid first
│   └── OutputInvalid            answered, but with no usable result
├── AllProvidersFailed      500  every provider of a chain failed; keeps every cause
├── JobUnfinished           504  the job goes on; its result can be had later
├── JobInterrupted          500  the job's process died too often
├── InternalError           500  a fault of ours; details stand in the log alone
├── JobCancelled                 somebody cancelled the job (ends a run, never a request)
├── LeaseLost                    another worker owns the job now (ends a run, never a request)
└── SettingsError                a setting is wrong; stops the start
"""

from __future__ import annotations

from typing import Any, ClassVar


class RelumeError(Exception):
    """Base of all. `detail` is a sentence for the user: no path, token, trace or vendor text."""

    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"
    status: ClassVar[int] = 500
    can_pass: ClassVar[bool] = False
    """Whether the same request may succeed later without a change."""

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling between processes, keyword arguments included."""
        return (_rebuild, (type(self), self.detail, self.extra))


def _rebuild(kind: type[RelumeError], detail: str, extra: dict[str, Any]) -> RelumeError:
    return kind(detail, **extra)


class InvalidInput(RelumeError):
    code, title, status = "invalid_input", "Invalid input", 400


class InvalidParameter(InvalidInput):
    code, title = "invalid_parameter", "Invalid parameter"


class UnknownModel(InvalidInput):
    code, title = "unknown_model", "Unknown model"


class ImageMissing(InvalidInput):
    code, title = "image_missing", "No image"


class ImageUnreadable(InvalidInput):
    code, title = "image_unreadable", "Image cannot be read"


class ImageDimensions(InvalidInput):
    code, title = "image_dimensions", "Image has too many pixels"


class UrlRefused(InvalidInput):
    code, title = "url_refused", "URL refused"


class IdempotencyMismatch(InvalidInput):
    code, title = "idempotency_mismatch", "Idempotency-Key was used before"


class KeyMissing(RelumeError):
    code, title, status = "key_missing", "API key required", 401


class KeyWrong(RelumeError):
    code, title, status = "key_wrong", "API key refused", 403


class NotFound(RelumeError):
    code, title, status = "not_found", "Not found", 404


class MethodNotAllowed(RelumeError):
    code, title, status = "method_not_allowed", "Method not allowed", 405


class Conflict(RelumeError):
    code, title, status = "conflict", "Not possible in this state", 409


class Expired(RelumeError):
    code, title, status = "expired", "File has expired", 410


class ImageTooLarge(RelumeError):
    code, title, status = "image_too_large", "Image is too large", 413


class UnsupportedFormat(RelumeError):
    code, title, status = "unsupported_format", "Image format is not supported", 415


class RateLimited(RelumeError):
    """`extra["retry_after_seconds"]` says when the next request may come."""

    code, title, status, can_pass = "rate_limited", "Too many requests", 429, True


class QuotaExceeded(RateLimited):
    """`extra["retry_after_seconds"]` is the rest of the day."""

    code, title = "quota_exceeded", "Quota for today is used up"


class RestoreDisabled(RelumeError):
    code, title, status, can_pass = "restore_disabled", "Restoration is switched off", 503, True


class ServiceAway(RelumeError):
    """`extra["retry_after_seconds"]` says when to come back. What was accepted before is not lost."""

    code, title, status, can_pass = "service_away", "Service is away for a moment", 503, True


class NoProvider(RelumeError):
    code, title, status = "no_provider", "No service is configured for this", 503


class FetchFailed(RelumeError):
    code, title, status = "fetch_failed", "Image could not be fetched", 502


class ProviderError(RelumeError):
    """`extra["spent"]` is what a failed run has cost all the same (`ports.Spent`), where the provider knows."""

    code, title, status = "provider_failed", "Provider failed", 502


class ProviderUnavailable(ProviderError):
    code, title, can_pass = "provider_unavailable", "Provider is unavailable", True


class ProviderBusy(ProviderError):
    """`extra["retry_after_seconds"]` says when to ask again, where the provider told."""

    code, title, can_pass = "provider_busy", "Provider is busy", True


class ProviderTimeout(ProviderError):
    code, title = "provider_timeout", "Provider did not finish in time"


class ProviderRefused(ProviderError):
    code, title = "provider_refused", "Provider refused the request"


class ProviderNoCredit(ProviderError):
    code, title = "provider_no_credit", "Provider has no credit left"


class OutputInvalid(ProviderError):
    code, title = "output_invalid", "Provider gave no usable result"


class AllProvidersFailed(RelumeError):
    """`causes` keeps what each provider raised, in the order they were tried."""

    code, title, status = "all_providers_failed", "All services failed", 500

    @property
    def causes(self) -> list[RelumeError]:
        return list(self.extra.get("causes", []))


class JobUnfinished(RelumeError):
    code, title, status, can_pass = "job_unfinished", "Job is not finished yet", 504, True


class JobInterrupted(RelumeError):
    code, title = "job_interrupted", "Job was interrupted too often"


class InternalError(RelumeError):
    def __init__(
        self, detail: str = "Something went wrong on our side. It has been logged.", **extra: Any
    ) -> None:
        super().__init__(detail, **extra)


class JobCancelled(RelumeError):
    code, title, status = "job_cancelled", "Job was cancelled", 409


class LeaseLost(RelumeError):
    code, title = "lease_lost", "Another worker owns this job"


class SettingsError(RelumeError):
    code, title = "settings_error", "A setting is wrong"
