"""How the dashboard's files are sent: compressed once, each form with a tag of its own, versions told apart."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from relume.http import dashboard
from relume.http.dashboard import DashboardAtRoot, DashboardFiles


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "styles").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>Relume</title>")
    (tmp_path / "app.js").write_text("// a script that repeats itself\n" * 50)
    (tmp_path / "styles" / "icon.png").write_bytes(b"\x89PNG")
    monkeypatch.setattr(dashboard, "FOLDER", tmp_path)
    return tmp_path


async def get(path: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    app = Starlette(routes=[Mount("/dashboard", DashboardFiles())])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.get(f"/dashboard/{path}", headers={"accept-encoding": "identity"} | named)


@pytest.mark.parametrize("accepted", ["gzip", "br, GZIP;q=0.8", "deflate,gzip"])
async def test_text_is_compressed_for_who_takes_it(folder: Path, accepted: str) -> None:
    answer = await get("app.js", accept_encoding=accepted)
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < 200
    assert answer.text == (folder / "app.js").read_text()
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "default-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("accepted", ["identity", "br", "gzip;q=0", "gzip; q=0.0"])
async def test_others_get_it_as_it_is(folder: Path, accepted: str) -> None:
    answer = await get("app.js", accept_encoding=accepted)
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.text == (folder / "app.js").read_text()


async def test_pictures_are_not_compressed_again(folder: Path) -> None:
    answer = await get("styles/icon.png", accept_encoding="gzip")
    assert answer.headers["content-type"] == "image/png"
    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers


async def test_what_the_browser_has_is_not_sent_again(folder: Path) -> None:
    plain = await get("app.js")
    packed = await get("app.js", accept_encoding="gzip")
    assert plain.headers["etag"] != packed.headers["etag"]
    again = await get("app.js", accept_encoding="gzip", if_none_match=f'"other", W/{packed.headers["etag"]}')
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == packed.headers["etag"]
    assert (await get("app.js", if_none_match=packed.headers["etag"])).status_code == 200

    (folder / "app.js").write_text("// another script")
    changed = await get("app.js", accept_encoding="gzip", if_none_match=packed.headers["etag"])
    assert (changed.status_code, changed.text) == (200, "// another script")


async def test_the_version_is_that_of_all_files(folder: Path) -> None:
    async def shell() -> tuple[str, list[str]]:
        answer = await get("shell.js")
        told = json.loads(answer.text.removeprefix("self.SHELL = ").rstrip(";\n"))
        return told["version"], told["files"]

    version, files = await shell()
    assert files == ["app.js", "index.html", "styles/icon.png"]
    assert (await shell())[0] == version
    (folder / "styles" / "icon.png").write_bytes(b"\x89PNG another")
    assert (await shell())[0] != version


@pytest.mark.parametrize("path", ["nothing.js", "../dashboard.py", "%2e%2e/dashboard.py", "styles"])
async def test_nothing_else_is_served(folder: Path, path: str) -> None:
    (folder.parent / "dashboard.py").write_text("secret")
    answer = await get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("path", "is_page"), [("/", True), ("/app.js", True), ("/shell.js", True), ("/v1/jobs", False)]
)
async def test_at_a_port_of_its_own_the_page_stands_before_the_api(
    folder: Path, path: str, is_page: bool
) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(DashboardAtRoot(Starlette())), base_url="http://test"
    ) as client:
        answer = await client.get(path)
    assert (answer.status_code == 200) == is_page


def test_compressing_gives_the_same_bytes_each_time(folder: Path) -> None:
    """Two processes behind one address must agree on what an ETag stands for."""
    first, second = (dashboard._asset.__wrapped__(folder / "app.js", 0, 0).compressed for _ in range(2))
    assert first == second
    assert gzip.decompress(first) == (folder / "app.js").read_bytes()
