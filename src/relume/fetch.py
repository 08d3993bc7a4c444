"""Fetching a photo from a URL that a client handed over."""

from __future__ import annotations

import asyncio
from urllib.parse import urljoin

import httpx
from httpx_secure import SSRFProtectionError

from relume.errors import FetchFailed, ImageTooLarge, UrlRefused
from relume.outbound import NOT_PUBLIC, UrlPolicy

MAX_REDIRECTS = 3
DOWNLOAD_SECONDS = 20.0
"""For the whole way, redirects included."""


class UrlFetcher:
    """Keeps the promises of `ports.Fetcher` with one client for the life of the process."""

    def __init__(self, policy: UrlPolicy) -> None:
        self._policy = policy
        self._client = policy.client()

    async def check(self, url: str) -> None:
        await self._policy.check(url)

    async def fetch(self, url: str, max_bytes: int) -> bytes:
        try:
            async with asyncio.timeout(DOWNLOAD_SECONDS):
                return await self._follow(url, max_bytes)
        except TimeoutError as error:
            raise FetchFailed("The image's server took too long to answer.") from error
        except SSRFProtectionError as error:
            raise UrlRefused(NOT_PUBLIC) from error
        except httpx.TimeoutException as error:
            raise FetchFailed("The image's server took too long to answer.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchFailed("The image's server could not be reached.") from error

    async def close(self) -> None:
        await self._client.aclose()

    async def _follow(self, url: str, max_bytes: int) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            await self._policy.check(url)
            async with self._client.stream("GET", url) as response:
                if response.has_redirect_location:
                    url = urljoin(str(response.url), response.headers["location"])
                    continue
                if response.status_code != httpx.codes.OK:
                    raise FetchFailed(
                        f"The image's server answered with status {response.status_code} instead of an image."
                    )
                return await _read(response, max_bytes)
        raise FetchFailed(f"The URL redirects more than {MAX_REDIRECTS} times.")


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    too_large = ImageTooLarge(f"The image at this URL is larger than {max_bytes / 1e6:g} MB.")
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise too_large
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > max_bytes:
            raise too_large
    return bytes(data)
