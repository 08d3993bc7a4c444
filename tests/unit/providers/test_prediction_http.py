"""Where the key goes, and from where files are taken."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from relume.errors import OutputInvalid
from relume.providers.prediction_http import PredictionHttp

API = "https://api.replicate.com"
Handler = Callable[[httpx.Request], httpx.Response]


class Answers:
    """A network in memory: every request is noted and answered by `handler`."""

    def __init__(self, handler: Handler) -> None:
        self.requests: list[httpx.Request] = []
        self._handler = handler

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._handler(request)


def reach(answers: Answers, monkeypatch: pytest.MonkeyPatch, **options: int) -> PredictionHttp:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answers))
    monkeypatch.setattr(PredictionHttp, "_client", client)
    return PredictionHttp("Replicate", API, token="secret", files_domain="replicate.delivery", **options)


def nothing() -> None: ...


OURS = ("https://api.replicate.com/v1/files/a", "https://pbxt.replicate.delivery/a.png")
NOT_OURS = (
    "https://x.example/a.png",
    "https://replicate.delivery.example/a.png",
    "https://evilreplicate.delivery/a.png",
    "https://replicate.delivery/a.png",
    "http://pbxt.replicate.delivery/a.png",
    "http://api.replicate.com/a.png",
    "https://api.replicate.com:8443/a.png",
    "https://api.replicate.com@x.example/a.png",
    "file:///etc/passwd",
    "/a.png",
)


@pytest.mark.parametrize("url", OURS)
async def test_the_key_goes_to_replicates_own_hosts(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(lambda _request: httpx.Response(200, content=b"file"))
    assert await reach(answers, monkeypatch).file(url, nothing) == b"file"
    assert answers.requests[0].headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("url", NOT_OURS)
async def test_nothing_is_fetched_from_anywhere_else(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(lambda _request: httpx.Response(200, content=b"file"))
    with pytest.raises(OutputInvalid, match="unexpected place"):
        await reach(answers, monkeypatch).file(url, nothing)
    assert not answers.requests


async def test_a_redirect_is_followed_within_replicate_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/a":
            return httpx.Response(302, headers={"Location": "https://x.replicate.delivery/b"})
        if request.url.path == "/out":
            return httpx.Response(302, headers={"Location": "https://x.example/b"})
        if request.url.path == "/round":
            return httpx.Response(302, headers={"Location": "/round"})
        return httpx.Response(200, content=b"file")

    answers = Answers(handler)
    http = reach(answers, monkeypatch)
    assert await http.file(f"{API}/a", nothing) == b"file"
    with pytest.raises(OutputInvalid, match="unexpected place"):
        await http.file(f"{API}/out", nothing)
    with pytest.raises(OutputInvalid, match="place to place"):
        await http.file(f"{API}/round", nothing)
    assert all(request.url.host != "x.example" for request in answers.requests)


async def test_a_file_may_not_be_larger_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(lambda _request: httpx.Response(200, content=b"x" * 101))
    http = reach(answers, monkeypatch, max_output_bytes=100)
    with pytest.raises(OutputInvalid, match="too large"):
        await http.file(f"{API}/a", nothing)
    with pytest.raises(OutputInvalid, match="too large"):
        await http.file("data:image/png," + "x" * 101, nothing)


async def test_a_file_that_is_gone_is_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    http = reach(Answers(lambda _request: httpx.Response(404)), monkeypatch)
    with pytest.raises(OutputInvalid, match="no longer has the file"):
        await http.file(f"{API}/a", nothing)


@pytest.mark.parametrize(
    ("uri", "data"),
    [("data:image/png;base64,aGk=", b"hi"), ("data:text/plain,h%69", b"hi"), ("data:,x", b"x")],
)
async def test_reads_data_uris(uri: str, data: bytes) -> None:
    assert await PredictionHttp("Cog", API).file(uri, nothing) == data


@pytest.mark.parametrize("uri", ["data:", "data:image/png;base64", "data:;base64,%%%", "data:;base64,"])
async def test_refuses_broken_data_uris(uri: str) -> None:
    with pytest.raises(OutputInvalid, match="cannot be read"):
        await PredictionHttp("Cog", API).file(uri, nothing)
