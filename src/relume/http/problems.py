"""Errors as `application/problem+json` (RFC 9457): the shape of contracts A, C, D and E."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from relume.database_connection import DatabaseAway
from relume.errors import (
    InternalError,
    InvalidParameter,
    KeyMissing,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    RelumeError,
    ServiceAway,
)
from relume.telemetry import logger

log = logger(__name__)

_AWAY_SECONDS = 3

MEDIA_TYPE = "application/problem+json"


def install(app: FastAPI) -> None:
    """Every way a request can fail ends in one of these."""
    app.add_exception_handler(RelumeError, _relume_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    for away in (DatabaseAway, DBAPIError, PoolTimeout, OSError):
        app.add_exception_handler(away, _foreseen_fault)
    app.add_exception_handler(Exception, _fault)


def body(error: RelumeError, status: int | None = None) -> dict[str, Any]:
    """`status` in place of the error's own, where a contract has another one for it."""
    return {
        "type": f"urn:relume:error:{error.code}",
        "title": error.title,
        "status": status or error.status,
        "detail": error.detail,
        "code": error.code,
    }


def response(error: RelumeError, status: int | None = None) -> JSONResponse:
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, (RateLimited, ServiceAway)):
        headers["Retry-After"] = str(error.extra["retry_after_seconds"])
    if isinstance(error, KeyMissing):
        headers["WWW-Authenticate"] = 'ApiKey header="X-API-KEY"'
    told = body(error, status)
    return JSONResponse(told, status_code=told["status"], headers=headers, media_type=MEDIA_TYPE)


def documented(*errors: type[RelumeError], status: int | None = None) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for the errors an endpoint can end in."""
    found: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        told = status or error.status
        entry = found.setdefault(told, {"description": "", "content": {MEDIA_TYPE: {"examples": {}}}})
        entry["description"] = "; ".join(filter(None, (entry["description"], error.title)))
        entry["content"][MEDIA_TYPE]["schema"] = {"$ref": "#/components/schemas/Problem"}
        example = {
            "type": f"urn:relume:error:{error.code}",
            "title": error.title,
            "status": told,
            "detail": "A sentence that says what was wrong and what is allowed.",
            "code": error.code,
        }
        entry["content"][MEDIA_TYPE]["examples"][error.code] = {"value": example}
    return found


async def _relume_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RelumeError)  # noqa: S101 (registered for this type only)
    if error.status >= 500:
        log.warning(
            "http.failed", path=request.url.path, code=error.code, cause=repr(error.__cause__ or error)
        )
    return response(error)


async def _validation_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return response(of_validation(error))


def of_validation(error: RequestValidationError) -> InvalidParameter:
    faults = [f"{_field(fault['loc'])}: {str(fault['msg']).rstrip('.')}." for fault in error.errors()]
    return InvalidParameter(" ".join(faults))


async def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    if error.status_code == 404:
        return response(NotFound("There is nothing at this address."))
    if error.status_code == 405:
        answer = response(MethodNotAllowed(f"This address does not answer to {request.method}."))
        answer.headers.update(error.headers or {})
        return answer
    if error.status_code < 500:
        return response(InvalidParameter("The request cannot be read."))
    return response(InternalError())


async def _foreseen_fault(request: Request, error: Exception) -> JSONResponse:
    """A database or a store that is away or overrun comes back; anything else they say is a fault of ours."""
    return response(of_fault(request, error))


def of_fault(request: Request, error: Exception) -> RelumeError:
    """What to tell of an error that nobody foresaw. It is logged."""
    if _is_away(error):
        log.warning("http.database_away", path=request.url.path, cause=_first_line(error))
        return ServiceAway(
            "The service cannot reach its database at the moment. Please try again in a few seconds.",
            retry_after_seconds=_AWAY_SECONDS,
        )
    if isinstance(error, OSError):  # A full disk, a bucket that does not answer.
        log.error("http.storage_away", path=request.url.path, cause=_first_line(error), exc_info=error)
        return ServiceAway(
            "The service cannot store or read files at the moment. Please try again in a few seconds.",
            retry_after_seconds=_AWAY_SECONDS,
        )
    log.error("http.fault", path=request.url.path, cause=type(error).__name__, exc_info=error)
    return InternalError()


def _is_away(error: Exception) -> bool:
    """Whether it says that the database cannot be reached now, and nothing of what was asked."""
    if isinstance(error, DBAPIError):
        lost = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
        return lost or isinstance(error.__cause__, DatabaseAway)
    return isinstance(error, DatabaseAway | PoolTimeout)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


async def _fault(request: Request, error: Exception) -> JSONResponse:
    log.error("http.fault", path=request.url.path, cause=type(error).__name__)  # uvicorn logs the trace.
    return response(InternalError())


def _field(location: Any) -> str:
    return ".".join(str(part) for part in location if part not in ("body", "query", "path")) or "body"
