"""The restore drill: the backup of docs/operations.md, made while the service works, is a whole service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests import photos
from tests.contracts.conftest import Start

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def back_up(data: Path, target: Path) -> None:
    code = PAGE.read_text(encoding="utf-8").partition("<!-- run: backup -->")[2].split("```")[1]
    names: dict[str, Any] = {}
    exec(code.removeprefix("python\n"), names)
    names["back_up"](data, target)


async def test_a_copy_made_while_it_runs_is_a_whole_service(start: Start, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    async with start() as client:
        done = await client.restored(photos.encoded("PNG"))
        waiting = (await client.restore(photos.encoded("PNG"), upscale=2)).json()["job_id"]
        back_up(tmp_path / "data", copy)
        lost = (await client.restore(photos.encoded("PNG"))).json()["job_id"]
    async with start(storage_dir=str(copy)) as client:
        assert (await client.http.get(done.url.path)).content == done.content
        assert (await client.ended(waiting))["status"] == "succeeded"
        assert (await client.http.get(f"/v1/jobs/{lost}")).status_code == 404
        assert (await client.restored(photos.encoded("JPEG"))).status_code == 200
