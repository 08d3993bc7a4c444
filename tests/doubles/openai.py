"""A small server in the shape of OpenAI's HTTP API. It answers what it is told to, and keeps what it was asked."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.loopback import Loopback

CHAT = "/v1/chat/completions"
IMAGES = "/v1/images/generations"
JSON = {"Content-Type": "application/json"}


class OpenAIServer(Loopback):
    """Paths that nothing was set for are 404: a server may have chat and no images, or neither."""

    def __init__(self) -> None:
        super().__init__(status=404)

    def says(self, content: object) -> None:
        message = {"role": "assistant", "content": content}
        document = {"object": "chat.completion", "choices": [{"index": 0, "message": message}]}
        self.answers(CHAT, document)

    def draws(self, picture: bytes) -> None:
        self.answers(IMAGES, {"created": 1, "data": [{"b64_json": base64.b64encode(picture).decode()}]})

    def answers(self, path: str, document: Any, status: int = 200) -> None:
        self.pages[path] = (status, JSON, json.dumps(document).encode())

    def asked(self, number: int = -1) -> Any:
        """The document of one request."""
        return json.loads(self.requests[number].body)
