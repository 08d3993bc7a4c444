"""Fetch known weights: resumed where a download broke off, checked before the file takes its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread
import httpx

from relume.engines.weights import KnownWeights, sha256_of

PARTIAL_SUFFIX = ".partial"
_TRIES = 3
_TIMEOUT_SECONDS = 30.0
_PARTIAL_CONTENT, _RANGE_REFUSED = 206, 416

OnProgress = Callable[[int], None]
"""Is told how many bytes of the file are here."""


class DownloadError(Exception):
    """A file that did not arrive. Its message is a sentence for a user."""


async def download(
    weights: KnownWeights,
    folder: Path,
    client: httpx.AsyncClient,
    on_progress: OnProgress = lambda _bytes: None,
) -> Path:
    """The file's final path, which appears only when its size and SHA-256 are right.

    What a broken download left is continued. A connection that breaks off is tried again up to three times
    in all, as long as each try brings something. Raises DownloadError.
    """
    target, partial = folder / weights.file, folder / f"{weights.file}{PARTIAL_SUFFIX}"
    if await anyio.to_thread.run_sync(_is_here, weights, target):
        on_progress(weights.bytes)
        return target
    for attempt in range(1, _TRIES + 1):
        try:
            await _fetch(weights, partial, client, on_progress)
            break
        except httpx.ConnectError as error:
            raise DownloadError(_offline(weights)) from error
        except httpx.HTTPError as error:
            if attempt == _TRIES:
                raise DownloadError(
                    f"{weights.file}: the connection broke off {_TRIES} times. What has arrived is kept: "
                    "the same command goes on from there."
                ) from error
    await anyio.to_thread.run_sync(_publish, weights, partial, target)
    return target


def _is_here(weights: KnownWeights, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        return False
    if sha256_of(target) == weights.sha256:
        return True
    raise DownloadError(f"{target.name} exists in the folder and is not the known file. Move it away first.")


def _bytes_here(partial: Path) -> int:
    return partial.stat().st_size if partial.exists() else 0


def _offline(weights: KnownWeights) -> str:
    host = httpx.URL(weights.url).host
    return (
        f"{weights.file}: {host} cannot be reached. Without a network, copy the file here from another machine: "
        f"relume models import {weights.file}."
    )


async def _fetch(
    weights: KnownWeights, partial: Path, client: httpx.AsyncClient, on_progress: OnProgress
) -> None:
    here = _bytes_here(partial)
    if here >= weights.bytes:
        return
    headers = {"Range": f"bytes={here}-"} if here else {}
    # Compressed on the way, a file's ranges and sizes would be another file's.
    headers["Accept-Encoding"] = "identity"
    async with client.stream(
        "GET", weights.url, headers=headers, timeout=_TIMEOUT_SECONDS, follow_redirects=True
    ) as response:
        if response.status_code == _RANGE_REFUSED:
            _discard(partial)
            raise DownloadError(f"{weights.file}: the server has another file than the known one.")
        if not response.is_success:
            raise DownloadError(f"{weights.file}: the server answered {response.status_code}.")
        goes_on = response.status_code == _PARTIAL_CONTENT and _starts_at(response, here)
        _refuse_other_size(weights, response, here if goes_on else 0)
        with partial.open("ab" if goes_on else "wb") as file:
            await _copy(weights, response, file.fileno(), here if goes_on else 0, on_progress)


def _starts_at(response: httpx.Response, here: int) -> bool:
    told: str = response.headers.get("content-range", "")
    return told.startswith(f"bytes {here}-")


def _refuse_other_size(weights: KnownWeights, response: httpx.Response, here: int) -> None:
    length = response.headers.get("content-length", "")
    if length.isdecimal() and here + int(length) != weights.bytes:
        raise DownloadError(
            f"{weights.file}: the server has a file of {here + int(length)} bytes instead of {weights.bytes}."
        )


async def _copy(
    weights: KnownWeights, response: httpx.Response, file: int, here: int, on_progress: OnProgress
) -> None:
    on_progress(here)
    async for chunk in response.aiter_raw():
        here += len(chunk)
        if here > weights.bytes:
            raise DownloadError(
                f"{weights.file}: the server sends more than the {weights.bytes} bytes of the file."
            )
        view = memoryview(chunk)
        while view:
            view = view[os.write(file, view) :]
        on_progress(here)
    os.fsync(file)


def _publish(weights: KnownWeights, partial: Path, target: Path) -> None:
    """A wrong file is deleted: continuing it would never make it right. Raises DownloadError."""
    size = partial.stat().st_size
    if size < weights.bytes:
        raise DownloadError(
            f"{weights.file}: the server ended after {size} of {weights.bytes} bytes. The same command goes on."
        )
    if size != weights.bytes or sha256_of(partial) != weights.sha256:
        _discard(partial)
        raise DownloadError(
            f"{weights.file}: what arrived is not the known file (its SHA-256 differs). It was deleted."
        )
    partial.replace(target)


def _discard(partial: Path) -> None:
    partial.unlink(missing_ok=True)
