"""The way to a server of predictions: JSON calls and downloads, in our errors, with the token kept at home."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

import httpx

from relume import __version__
from relume.errors import OutputInvalid, ProviderError
from relume.providers.predictions import broken, fault_of

MAX_OUTPUT_BYTES = 200_000_000
_CONNECT_SECONDS, _CALL_SECONDS = 10.0, 30.0
_MAX_HOPS = 3


class PredictionHttp:
    """One connection pool for life, opened on the event loop that first needs it.

    The token goes to `base_url`'s own host, and to hosts below `files_domain` over https. Files are fetched
    from nowhere else: an output's URL comes from outside, and may say anything.
    """

    def __init__(
        self,
        who: str,
        base_url: str,
        *,
        token: str | None = None,
        files_domain: str | None = None,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> None:
        self.who = who
        self._base = httpx.URL(base_url.rstrip("/"))
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._files_domain = files_domain
        self._max_output_bytes = max_output_bytes
        self._opened: httpx.AsyncClient | None = None

    @property
    def _client(self) -> httpx.AsyncClient:
        if self._opened is None:
            self._opened = httpx.AsyncClient(
                follow_redirects=False, headers={"User-Agent": f"Relume/{__version__}"}
            )
        return self._opened

    async def aclose(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool,
        seconds: float = _CALL_SECONDS,
        absent_is_none: bool = False,
        headers: dict[str, str] | None = None,
        **content: Any,
    ) -> Any:
        """The JSON of an answer in 2xx, None for 204, and for 404 if `absent_is_none`. Raises ProviderError's kinds.

        `repeatable`: whether the same call may be made twice; one that begins a paid run may not.
        """
        try:
            response = await self._client.request(
                method,
                f"{self._base}{path}",
                headers=self._headers | (headers or {}),
                timeout=httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS)),
                **content,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise broken(error, self.who, repeatable=repeatable) from error
        if absent_is_none and response.status_code == httpx.codes.NOT_FOUND:
            return None
        if not response.is_success:
            raise fault_of(response, self.who, repeatable=repeatable)
        if response.status_code == httpx.codes.NO_CONTENT:
            return None
        try:
            return response.json()
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ProviderError(f"{self.who} gave an answer we do not understand.") from error

    async def file(self, url: str, on_chunk: Callable[[], None]) -> bytes:
        """The bytes behind an output's URL, or in its data URI. `on_chunk` may raise to stop the download.

        Raises OutputInvalid for an unexpected place or size, ProviderUnavailable for what can pass.
        """
        if url.startswith("data:"):
            data = _data_uri(url, self.who)
            self._check_size(len(data))
            return data
        try:
            return await self._download(httpx.URL(url), on_chunk)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise broken(error, self.who, repeatable=True) from error

    async def _download(self, url: httpx.URL, on_chunk: Callable[[], None]) -> bytes:
        for _ in range(_MAX_HOPS):
            if not self._is_ours(url):
                raise OutputInvalid(f"{self.who} named a file in an unexpected place.")
            async with self._client.stream(
                "GET", url, headers=self._headers, timeout=_CALL_SECONDS
            ) as answer:
                if answer.is_success:
                    return await self._body(answer, on_chunk)
                if not answer.has_redirect_location:
                    await answer.aread()
                    raise self._no_file(answer)
                url = url.join(answer.headers["Location"])
        raise OutputInvalid(f"{self.who} sends us from place to place for its file.")

    async def _body(self, answer: httpx.Response, on_chunk: Callable[[], None]) -> bytes:
        body = bytearray()
        async for chunk in answer.aiter_bytes():
            on_chunk()
            body += chunk
            self._check_size(len(body))
        return bytes(body)

    def _no_file(self, answer: httpx.Response) -> ProviderError:
        fault = fault_of(answer, self.who)
        if fault.can_pass:
            return fault
        gone = OutputInvalid(f"{self.who} no longer has the file it made.")
        gone.__cause__ = fault
        return gone

    def _is_ours(self, url: httpx.URL) -> bool:
        if (url.scheme, url.host, url.port) == (self._base.scheme, self._base.host, self._base.port):
            return True
        domain = self._files_domain
        return domain is not None and url.scheme == "https" and url.host.endswith(f".{domain}")

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._max_output_bytes:
            raise OutputInvalid(f"{self.who} gave a file that is too large.")


def _data_uri(uri: str, who: str) -> bytes:
    head, comma, content = uri.partition(",")
    try:
        data = (
            base64.b64decode(content, validate=True)
            if head.endswith(";base64")
            else unquote_to_bytes(content)
        )
    except (binascii.Error, ValueError) as error:
        raise OutputInvalid(f"{who} gave a file that cannot be read.") from error
    if not comma or not data:
        raise OutputInvalid(f"{who} gave a file that cannot be read.")
    return data
