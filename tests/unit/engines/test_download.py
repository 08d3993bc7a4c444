"""Downloads from a server on loopback that breaks off, lies about sizes and serves the wrong file."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from relume.engines.download import DownloadError, download
from relume.engines.weights import KnownWeights

CONTENT = bytes(range(256)) * 4000


@dataclass
class FileServer:
    """Serves CONTENT. The lists are used up from the front, one entry a request."""

    url: str = ""
    content: bytes = CONTENT
    break_off_after: list[int] = field(default_factory=list)
    claims: int | None = None
    """A Content-Length that is not true."""
    takes_ranges: bool = True
    status: int | None = None
    ranges: list[str | None] = field(default_factory=list)


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            server.ranges.append(asked)
            if server.status is not None:
                self.send_error(server.status)
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.takes_ranges else 0
            body = server.content[start:]
            self.send_response(206 if start else 200)
            if start:
                total = len(server.content)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.send_header("Content-Length", str(server.claims or len(body)))
            self.end_headers()
            stop = server.break_off_after.pop(0) if server.break_off_after else len(body)
            self.wfile.write(body[:stop])
            self.close_connection = True

        def log_message(self, *_arguments: object) -> None:
            pass

    return Handler


@pytest.fixture
def server() -> Iterator[FileServer]:
    state = FileServer()
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    listener.daemon_threads = False
    state.url = f"http://127.0.0.1:{listener.server_address[1]}/weights.pth"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    listener.shutdown()
    listener.server_close()
    thread.join()


def known(server: FileServer, **changes: object) -> KnownWeights:
    values: dict[str, object] = {
        "file": "weights.pth",
        "url": server.url,
        "bytes": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "family": "Test",
        "kind": "upscaler",
        "scale": 4,
        "purpose": "tests",
        "licence": "MIT",
        "licence_note": "",
    }
    return KnownWeights(**values | changes)  # type: ignore[arg-type]


async def get(weights: KnownWeights, folder: Path) -> tuple[Path, list[int]]:
    told: list[int] = []
    async with httpx.AsyncClient() as client:
        return await download(weights, folder, client, told.append), told


def size(path: Path) -> int:
    return path.stat().st_size


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_the_whole_file_arrives_under_its_name(server: FileServer, tmp_path: Path) -> None:
    path, told = await get(known(server), tmp_path / "new")
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["weights.pth"]
    assert told[0] == 0
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)


async def test_a_file_that_is_here_is_not_downloaded_again(server: FileServer, tmp_path: Path) -> None:
    await get(known(server), tmp_path)
    await get(known(server), tmp_path)
    assert len(server.ranges) == 1


async def test_another_file_under_the_name_is_left_alone(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"mine")
    with pytest.raises(DownloadError, match="is not the known file"):
        await get(known(server), tmp_path)
    assert (tmp_path / "weights.pth").read_bytes() == b"mine"
    assert server.ranges == []


async def test_a_broken_connection_is_continued(server: FileServer, tmp_path: Path) -> None:
    server.break_off_after = [300_000, 400_000]
    path, _ = await get(known(server), tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.ranges[0] is None
    starts = [int(str(asked).removeprefix("bytes=").rstrip("-")) for asked in server.ranges[1:]]
    assert len(starts) == 2
    assert 0 < starts[0] < starts[1] < len(CONTENT)


async def test_what_has_arrived_is_kept_for_the_next_command(server: FileServer, tmp_path: Path) -> None:
    server.break_off_after = [200_000, 200_000, 200_000]
    with pytest.raises(DownloadError, match="broke off 3 times"):
        await get(known(server), tmp_path)
    assert not (tmp_path / "weights.pth").exists()
    kept = size(tmp_path / "weights.pth.partial")
    assert 0 < kept <= 600_000
    path, told = await get(known(server), tmp_path)
    assert path.read_bytes() == CONTENT
    assert told[0] == kept


async def test_a_server_without_ranges_is_begun_anew(server: FileServer, tmp_path: Path) -> None:
    server.takes_ranges = False
    server.break_off_after = [300_000]
    path, _ = await get(known(server), tmp_path)
    assert path.read_bytes() == CONTENT


async def test_a_wrong_file_of_the_right_size_is_deleted(server: FileServer, tmp_path: Path) -> None:
    server.content = b"x" * len(CONTENT)
    with pytest.raises(DownloadError, match="SHA-256"):
        await get(known(server), tmp_path)
    assert names(tmp_path) == []


async def test_a_partial_file_of_something_else_is_found_out(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "weights.pth.partial").write_bytes(b"x" * 1000)
    with pytest.raises(DownloadError, match="SHA-256"):
        await get(known(server), tmp_path)
    path, _ = await get(known(server), tmp_path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1])
async def test_a_file_of_another_size_is_refused_before_it_is_read(
    server: FileServer, tmp_path: Path, size: int
) -> None:
    server.content = (CONTENT + b"x")[:size]
    with pytest.raises(DownloadError, match=f"a file of {size} bytes instead of {len(CONTENT)}"):
        await get(known(server), tmp_path)


async def test_a_server_that_promises_more_than_it_sends(server: FileServer, tmp_path: Path) -> None:
    server.claims = len(CONTENT)
    server.content = CONTENT[:1000]
    with pytest.raises(DownloadError):
        await get(known(server), tmp_path)
    assert not (tmp_path / "weights.pth").exists()


async def test_a_server_that_refuses_is_named_with_its_answer(server: FileServer, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(DownloadError, match="answered 404"):
        await get(known(server), tmp_path)


async def test_without_a_network_there_is_one_clear_sentence(tmp_path: Path) -> None:
    nowhere = known(FileServer(url="http://127.0.0.1:9/weights.pth"))
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1 cannot be reached.*relume models import"):
        await get(nowhere, tmp_path)
