"""Text and pictures from any server that speaks OpenAI's HTTP API, or that of Hugging Face's own inference servers.

Sources: platform.openai.com/docs/api-reference (chat, images); huggingface.co/docs/inference-endpoints.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import httpx

from relume.errors import OutputInvalid
from relume.imaging.photo import Photo
from relume.providers.exchange import drawn
from relume.providers.hosted import CONNECT_SECONDS, Answer, Wait, ask, failure
from relume.tasks import GenerateText, TextToImage

_NO_SUCH_PATH = frozenset({404, 405})
_MAX_BYTES = 64_000_000
"""A PNG of 2048x2048 noise has 13 MB, in base64 17 MB."""


class OpenAICompatible:
    """A server at `base_url`, with or without the `/v1` that its paths begin with."""

    def __init__(self, base_url: str, token: str | None, *, service: str) -> None:
        self._base_url = base_url.rstrip("/").removesuffix("/v1")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._service = service

    async def text(self, task: GenerateText, model: str, wait: Wait) -> str:
        """The answer to a prompt, without the prompt. Raises ProviderError."""
        chat = {
            "model": model,
            "messages": [{"role": "user", "content": task.prompt}],
            "max_tokens": task.max_new_tokens,
            "temperature": task.temperature,
        }
        answer = await self._post("/v1/chat/completions", chat, wait)
        if answer.status not in _NO_SUCH_PATH:
            return self._some_text(_chosen(self._document(answer)))
        parameters = {
            "max_new_tokens": task.max_new_tokens,
            "temperature": task.temperature,
            "return_full_text": False,
        }
        answer = await self._post("", {"inputs": task.prompt, "parameters": parameters}, wait)
        text = _generated(self._document(answer))
        # Some servers know no `return_full_text` and begin with the prompt all the same.
        return self._some_text(text.removeprefix(task.prompt) if isinstance(text, str) else text)

    async def picture(self, task: TextToImage, model: str, wait: Wait) -> Photo:
        """A picture of exactly the wanted size. Raises ProviderError."""
        wanted = {
            "model": model,
            "prompt": task.prompt,
            "n": 1,
            "size": f"{task.width}x{task.height}",
            "response_format": "b64_json",
        }
        answer = await self._post("/v1/images/generations", wanted | task.options(), wait)
        if answer.status not in _NO_SUCH_PATH:
            data = self._decoded(_first(self._document(answer)))
        else:
            parameters = {"width": task.width, "height": task.height} | task.options()
            answer = await self._post("", {"inputs": task.prompt, "parameters": parameters}, wait)
            data = self._successful(answer).body
        return await wait.context.in_thread(lambda: drawn(data, task.width, task.height, self._service))

    async def _post(self, path: str, document: Mapping[str, Any], wait: Wait) -> Answer:
        timeout = httpx.Timeout(wait.remaining_seconds, connect=min(CONNECT_SECONDS, wait.remaining_seconds))
        async with httpx.AsyncClient(timeout=timeout, headers=self._headers) as client:
            url = self._base_url + path
            request = ask(
                client, "POST", url, service=self._service, max_bytes=_MAX_BYTES, json=dict(document)
            )
            return await wait.until_done(request)

    def _successful(self, answer: Answer) -> Answer:
        if not answer.is_success:
            raise failure(answer.status, answer.headers, self._service)
        return answer

    def _document(self, answer: Answer) -> Any:
        try:
            return json.loads(self._successful(answer).body)
        except (ValueError, RecursionError) as error:
            raise OutputInvalid(f"{self._service} gave an answer that cannot be read.") from error

    def _some_text(self, text: object) -> str:
        if not isinstance(text, str) or not text.strip():
            raise OutputInvalid(f"{self._service} gave no text.")
        return text.strip()

    def _decoded(self, text: object) -> bytes:
        try:
            return base64.b64decode(text if isinstance(text, str) else "", validate=True)
        except ValueError as error:
            raise OutputInvalid(f"{self._service} gave no picture.") from error


def _chosen(document: Any) -> object:
    try:
        return document["choices"][0]["message"]["content"]
    except (LookupError, TypeError):
        return None


def _generated(document: Any) -> object:
    try:
        return (document[0] if isinstance(document, list) else document)["generated_text"]
    except (LookupError, TypeError):
        return None


def _first(document: Any) -> object:
    try:
        return document["data"][0]["b64_json"]
    except (LookupError, TypeError):
        return None
