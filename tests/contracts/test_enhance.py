"""Contract C, row by row."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from relume.http.result_zip import Entry, stream_zip
from relume.jobs.models import Job, JobStatus
from tests import photos
from tests.contracts.conftest import Client, Start, problem
from tests.images import corpus
from tests.patience import PATIENCE

Named = tuple[str, bytes]


async def send(client: Client, *files: Named, **fields: Any) -> httpx.Response:
    headers = fields.pop("headers", None)
    form = {name: str(value) for name, value in fields.items()}
    parts = [("files", (name, data, "text/plain")) for name, data in files]
    return await client.http.post("/enhance", files=parts, data=form, headers=headers)


async def accepted(client: Client, *files: Named, **fields: Any) -> str:
    answer = await send(client, *files, **fields)
    assert answer.status_code == 202, answer.text
    batch_id: str = answer.json()["job_id"]
    return batch_id


async def state_of(client: Client, batch_id: str) -> dict[str, Any]:
    answer = await client.http.get(f"/status/{batch_id}")
    assert answer.status_code == 200, answer.text
    state: dict[str, Any] = answer.json()
    return state


async def ended(client: Client, batch_id: str) -> dict[str, Any]:
    """Poll a batch to its end. Its results only ever become more."""
    seen = 0
    async with asyncio.timeout(PATIENCE):
        while True:
            state = await state_of(client, batch_id)
            assert len(state["results"]) >= seen
            seen = len(state["results"])
            if state["status"] in ("completed", "failed"):
                return state
            assert state["status"] in ("queued", "processing")
            await asyncio.sleep(0.02)


async def unpacked(client: Client, batch_id: str) -> tuple[zipfile.ZipFile, list[dict[str, Any]]]:
    answer = await client.http.get(f"/enhance/{batch_id}/zip")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    return archive, json.loads(archive.read("manifest.json"))


# The good way


async def test_a_photo_is_accepted_at_once_and_four_times_as_large(client: Client) -> None:
    answer = await send(client, ("photo.jpg", photos.encoded("JPEG")))
    assert answer.status_code == 202
    body = answer.json()
    assert set(body) == {"job_id", "status", "queue_position"}
    assert (body["status"], body["queue_position"]) == ("queued", 1)
    assert answer.headers["location"] == f"/status/{body['job_id']}"
    state = await ended(client, body["job_id"])
    assert (state["status"], state["progress"], state["total"], state["succeeded"]) == (
        "completed",
        1.0,
        1,
        1,
    )
    (entry,) = state["results"]
    assert entry["original_filename"] == "photo.jpg"
    assert entry["url"] == f"/processed/{entry['job_id']}.jpg"
    assert "error" not in entry
    result = await client.http.get(entry["url"])
    assert result.headers["content-type"] == "image/jpeg"
    assert photos.opened(result.content).size == (256, 192)
    assert (entry["width"], entry["height"], entry["size_bytes"]) == (256, 192, len(result.content))


async def test_twenty_files_of_which_three_are_broken(client: Client) -> None:
    good = photos.encoded("JPEG")
    files = [(f"album-{index}.jpg", good) for index in range(20)]
    files[4] = ("notes.jpg", b"these are words, not a photo")
    files[9] = ("cut-off.png", photos.encoded("PNG")[:-300])
    files[15] = ("empty.jpg", b"")
    state = await ended(client, await accepted(client, *files, scale=2))
    assert (state["status"], state["total"], state["succeeded"], state["failed"]) == ("completed", 20, 17, 3)
    assert [entry["original_filename"] for entry in state["results"]] == [name for name, _ in files]
    failures = {entry["original_filename"]: entry for entry in state["results"] if "error" in entry}
    assert {name: entry["code"] for name, entry in failures.items()} == {
        "notes.jpg": "unsupported_format",
        "cut-off.png": "image_unreadable",
        "empty.jpg": "image_missing",
    }
    assert all("url" not in entry and entry["error"].endswith(".") for entry in failures.values())
    for entry in state["results"]:
        if "url" in entry:
            assert photos.opened((await client.http.get(entry["url"])).content).size == (128, 96)

    archive, manifest = await unpacked(client, state["job_id"])
    assert len(archive.namelist()) == 17 + 2
    assert archive.namelist()[-2:] == ["manifest.csv", "manifest.json"]
    assert [row["original_filename"] for row in manifest] == [name for name, _ in files]
    for row in manifest:
        if row["error"] is None:
            assert photos.opened(archive.read(row["name"])).size == (128, 96)
            assert archive.getinfo(row["name"]).compress_type == zipfile.ZIP_STORED
            assert row["provider"] == "builtin"
            assert row["fidelity"] > 0.5
            assert (row["result_width"], row["cost_usd"], row["status"]) == (128, 0.0, "succeeded")
        else:
            assert (row["name"], row["status"]) == (None, "failed")
    rows = list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode("utf-8-sig"))))
    assert [row["original_filename"] for row in rows] == [name for name, _ in files]
    assert sum(bool(row["error"]) for row in rows) == 3


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("face_enhance", ["true", "false"])
async def test_faces_are_restored_if_asked_for(client: Client, face_enhance: str, scale: int) -> None:
    file = ("a.png", photos.encoded("PNG"))
    state = await ended(client, await accepted(client, file, face_enhance=face_enhance, scale=scale))
    (entry,) = state["results"]
    expected = ["restore_faces", "upscale"] if face_enhance == "true" else ["upscale"]
    assert [step["task"] for step in entry["steps"]] == expected
    assert (entry["width"], entry["height"]) == (64 * scale, 48 * scale)


@pytest.mark.parametrize(
    ("kind", "extension"), [("TIFF", "png"), ("AVIF", "jpg"), ("HEIF", "jpg"), ("GIF", "png")]
)
async def test_formats_of_scanners_and_phones_are_taken(client: Client, kind: str, extension: str) -> None:
    state = await ended(client, await accepted(client, ("scan", photos.encoded(kind)), scale=2))
    assert state["results"][0]["url"].endswith(f".{extension}")


async def test_a_batch_fails_only_when_every_file_failed(client: Client) -> None:
    batch_id = await accepted(client, ("a.jpg", b"no"), ("b.jpg", b"photo"))
    state = await state_of(client, batch_id)
    assert (state["status"], state["failed"], state["pending"]) == ("failed", 2, [])
    problem(await client.http.get(f"/enhance/{batch_id}/zip"), 409, "conflict")
    problem(await client.http.post(f"/enhance/{batch_id}/retry"), 409, "conflict")


# Names


async def test_a_clients_file_name_is_shown_and_never_used(client: Client) -> None:
    data = photos.encoded("PNG")
    names = [
        "../../etc/passwd",
        "C:\\photos\\Bà ngoại.PNG",
        "evil\u202egnp.exe",
        "=cmd()|x.png",
        "",
        "con.png",
    ]
    state = await ended(client, await accepted(client, *((name, data) for name in names), scale=2))
    shown = [entry["original_filename"] for entry in state["results"]]
    assert shown == ["passwd", "Bà ngoại.PNG", "evilgnp.exe", "=cmd()|x.png", "file-5", "con.png"]
    for entry in state["results"]:
        assert entry["url"] == f"/processed/{entry['job_id']}.png"
    archive, manifest = await unpacked(client, state["job_id"])
    assert [row["name"] for row in manifest] == [
        *("passwd.png", "Bà ngoại.png", "evilgnp.png", "=cmd()_x.png", "file-5.png", "_con.png")
    ]
    rows = list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode("utf-8-sig"))))
    assert rows[3]["original_filename"] == "'=cmd()|x.png"


async def test_names_in_the_zip_are_unique_without_regard_to_case(client: Client) -> None:
    data = photos.encoded("PNG")
    names = ["a.png", "A.PNG", "a.webp", "manifest.json"]
    state = await ended(client, await accepted(client, *((name, data) for name in names), scale=2))
    archive, manifest = await unpacked(client, state["job_id"])
    assert [row["name"] for row in manifest] == ["a.png", "A-2.png", "a-3.png", "manifest.png"]
    assert len({name.lower() for name in archive.namelist()}) == 6


async def test_a_client_that_leaves_a_download_harms_nothing(client: Client) -> None:
    files = [(f"{index}.png", photos.encoded("PNG")) for index in range(3)]
    state = await ended(client, await accepted(client, *files, scale=2))
    jobs = await client.services.batches.jobs(UUID(state["job_id"]))
    download = stream_zip(client.services.jobs, [Entry(job) for job in jobs], datetime.now(UTC))
    begun = await anext(download)
    await download.aclose()
    assert begun.startswith(b"PK")
    await unpacked(client, state["job_id"])


# Limits


async def test_one_file_that_is_too_large_is_its_own_fault(start: Start) -> None:
    async with start(max_file_size_mb=0.02) as client:
        small, large = photos.encoded("JPEG"), photos.encoded("PNG", 200, 150)
        assert len(small) < 20_000 < len(large)
        state = await ended(client, await accepted(client, ("large.png", large), ("small.jpg", small)))
        first, second = state["results"]
        assert (first["code"], first["error"]) == (
            "image_too_large",
            "The photo is too large; at most 0.02 MB are allowed.",
        )
        assert "url" in second


async def test_too_many_files_or_bytes_are_refused_and_leave_nothing(start: Start) -> None:
    async with start(enhance_max_files=2, enhance_max_total_mb=0.1) as client:
        data = photos.encoded("JPEG")
        answer = await send(client, *(("a.jpg", data) for _ in range(3)))
        assert "at most 2" in problem(answer, 400, "invalid_input")
        answer = await send(client, ("a.png", data), ("b.png", b"\0" * 110_000))
        assert "at most 0.1 MB" in problem(answer, 413, "image_too_large")

        async def unannounced() -> AsyncIterator[bytes]:
            yield form("files", data) + b"\r\n" + form("files", b"")
            for _ in range(12):
                yield b"\0" * 10_000

        answer = await client.http.post("/enhance", content=unannounced(), headers=FORM)
        problem(answer, 413, "image_too_large")
        assert await client.services.jobs.repository.counts() == {}
        assert [found async for found in client.services.store.list_objects("uploads/")] == []


FORM = {"Content-Type": "multipart/form-data; boundary=cut"}


def form(name: str, data: bytes) -> bytes:
    """A form up to the end of its first file."""
    return f'--cut\r\nContent-Disposition: form-data; name="{name}"; filename="a.jpg"\r\n\r\n'.encode() + data


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"", FORM),
        (b"no form at all", FORM),
        (form("files", b"x"), FORM),
        (form("image", b"x") + b"\r\n--cut--\r\n", FORM),
        (b"{}", {"Content-Type": "application/json"}),
        (b"--cut--", {"Content-Type": "multipart/form-data"}),
        (b"--cut\r\nContent-Disposition: form-data\r\n\r\nx\r\n--cut--\r\n", FORM),
        (b"".join(b"--cut\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n" for _ in range(21)), FORM),
        (b"--cut\r\nContent-Disposition: form-data; name=x\r\n\r\n" + b"x" * 70_000, FORM),
    ],
    ids=[
        "empty",
        "words",
        "cut off",
        "other field",
        "JSON",
        "no boundary",
        "no name",
        "fields",
        "long field",
    ],
)
async def test_a_form_that_cannot_be_used_is_refused(
    client: Client, content: bytes, headers: dict[str, str]
) -> None:
    problem(await client.http.post("/enhance", content=content, headers=headers), 400, "invalid_input")
    assert await client.services.jobs.repository.counts() == {}
    assert [found async for found in client.services.store.list_objects("uploads/")] == []


async def test_a_form_without_files_is_refused(client: Client) -> None:
    problem(await client.http.post("/enhance", files={"scale": (None, "2")}), 400, "image_missing")
    problem(await client.http.post("/enhance", files={"files": ("", b"")}), 400, "image_missing")


@pytest.mark.parametrize(
    "fields",
    [
        {"scale": "1"},
        {"scale": "3"},
        {"scale": "two"},
        {"scale": ""},
        {"face_enhance": "maybe"},
        {"face_region": "mouth"},
        {"face_region": ""},
        {"faces": ""},
        {"faces": "one"},
        {"faces": "-1"},
        {"faces": "1,"},
        {"faces": "200"},
        {"faces": "²"},
        {"faces": "0," * 2000 + "0"},
        {"face_region": "eyes", "face_enhance": "false"},
        {"faces": "0", "face_enhance": "false"},
    ],
)
async def test_wrong_options_are_refused_and_leave_nothing(client: Client, fields: dict[str, str]) -> None:
    answer = await send(client, ("a.jpg", photos.encoded("JPEG")), **fields)
    assert next(iter(fields)) in problem(answer, 400, "invalid_parameter")
    assert [found async for found in client.services.store.list_objects("uploads/")] == []


@pytest.mark.parametrize("case", corpus.HANDLED, ids=str)
async def test_unusual_photos_are_enhanced(client: Client, case: corpus.Case) -> None:
    state = await ended(client, await accepted(client, ("unusual", case.make()), scale=2))
    (entry,) = state["results"]
    assert case.size is not None
    assert (entry["width"], entry["height"]) == (case.size[0] * 2, case.size[1] * 2)


# Which faces, and how much of them


async def only_job(client: Client, state: dict[str, Any]) -> Job:
    (job,) = await client.services.batches.jobs(UUID(state["job_id"]))
    return job


async def test_a_choice_of_faces_is_kept_with_the_job_and_ends_in_its_report(client: Client) -> None:
    file = ("a.png", photos.encoded("PNG"))
    state = await ended(client, await accepted(client, file, scale=2, face_region="eyes", faces="2, 0,2"))
    job = await only_job(client, state)
    assert job.parameters == {"region": "eyes", "faces": [0, 2]}
    assert "url" in state["results"][0]
    steps = [step for part in job.report or [] for step in part["steps"]]
    assert any("it treated the whole photo" in step["detail"] for step in steps)


async def test_what_is_the_default_is_no_choice(client: Client) -> None:
    file = ("a.png", photos.encoded("PNG"))
    state = await ended(client, await accepted(client, file, scale=2, face_region="face"))
    assert (await only_job(client, state)).parameters is None
    same = await ended(client, await accepted(client, file, scale=2))
    chosen = await ended(client, await accepted(client, file, scale=2, faces="0"))
    keys = [(await only_job(client, found)).cache_key for found in (state, same, chosen)]
    assert keys[0] is not None
    assert keys[0] == keys[1]
    assert keys[2] not in (None, keys[0])


async def test_a_choice_of_faces_is_tried_again_and_told_apart(start: Start) -> None:
    async with start(provider="builtin") as client:
        await client.services.queue.stop()  # Nothing is begun: it can be cancelled.
        file, headers = ("a.png", photos.encoded("PNG")), {"Idempotency-Key": "eyes"}
        batch_id = await accepted(client, file, headers=headers, face_region="eyes")
        assert await accepted(client, file, headers=headers, face_region="eyes") == batch_id
        problem(await send(client, file, headers=headers), 400, "idempotency_mismatch")
        await client.http.delete(f"/enhance/{batch_id}")
        assert (await client.http.post(f"/enhance/{batch_id}/retry")).status_code == 202
        (job,) = await client.services.batches.jobs(UUID(batch_id))
        assert (job.status, job.parameters) == (JobStatus.QUEUED, {"region": "eyes"})


# Keys, switches, rate limit, idempotency


async def test_the_api_key_is_asked_for_before_anything_else(start: Start) -> None:
    async with start(api_key="sesame") as client:
        file = ("a.jpg", photos.encoded("JPEG"))
        problem(await send(client, file), 401, "key_missing")
        problem(await send(client, file, headers={"X-API-KEY": "wrong"}), 403, "key_wrong")
        key = {"X-API-KEY": "sesame"}
        batch_id = await accepted(client, file, headers=key)
        problem(await client.http.get(f"/status/{batch_id}"), 401, "key_missing")
        problem(await client.http.delete(f"/enhance/{batch_id}"), 401, "key_missing")
        problem(await client.http.post(f"/enhance/{batch_id}/retry"), 401, "key_missing")
        client.http.headers.update(key)
        (entry,) = (await ended(client, batch_id))["results"]
        del client.http.headers["X-API-KEY"]
        assert (await client.http.get(entry["url"])).status_code == 200, "result files stay open"
        assert (await client.http.get(f"/enhance/{batch_id}/zip")).status_code == 200


async def test_a_batch_counts_as_one_request(start: Start) -> None:
    async with start(rate_limit_per_min=2) as client:
        files = [(f"{index}.jpg", photos.encoded("JPEG")) for index in range(5)]
        assert (await send(client, *files)).status_code == 202
        assert (await send(client, *files)).status_code == 202
        answer = await send(client, *files)
        problem(answer, 429, "rate_limited")
        assert int(answer.headers["retry-after"]) >= 1


async def test_restoration_can_be_switched_off(start: Start) -> None:
    async with start(restore_enabled=False) as client:
        problem(await send(client, ("a.jpg", photos.encoded("JPEG"))), 503, "restore_disabled")
        problem(await client.http.post(f"/enhance/{uuid4()}/retry"), 503, "restore_disabled")


async def test_the_same_idempotency_key_gives_the_same_batch(client: Client) -> None:
    files = [("a.jpg", photos.encoded("JPEG")), ("b.jpg", b"no photo")]
    headers = {"Idempotency-Key": "one"}
    first = await accepted(client, *files, headers=headers)
    assert await accepted(client, *files, headers=headers) == first
    assert sum((await client.services.jobs.repository.counts()).values()) == 2
    uploads = [found.key async for found in client.services.store.list_objects("uploads/")]
    assert len(uploads) == 1, "the second upload was not kept"
    for changed in (
        await send(client, *files, headers=headers, scale=2),
        await send(client, files[0], headers=headers),
    ):
        problem(changed, 400, "idempotency_mismatch")
    other = await client.restore(photos.encoded("JPEG"), headers=headers)
    problem(other, 400, "idempotency_mismatch")


async def test_two_equal_requests_at_once_make_one_batch(client: Client) -> None:
    file = ("a.jpg", photos.encoded("JPEG"))
    headers = {"Idempotency-Key": "race"}
    ids = await asyncio.gather(*(accepted(client, file, headers=headers) for _ in range(4)))
    assert len(set(ids)) == 1
    assert sum((await client.services.jobs.repository.counts()).values()) == 1


# Unknown, other contracts, expiry


@pytest.mark.parametrize("job_id", ["nothing", "9b2f3c1e-5a44-4f0e-8f63-2f1c9f0f7a11"])
async def test_an_unknown_batch_is_404_everywhere(client: Client, job_id: str) -> None:
    problem(await client.http.get(f"/status/{job_id}"), 404, "not_found")
    problem(await client.http.delete(f"/enhance/{job_id}"), 404, "not_found")
    problem(await client.http.post(f"/enhance/{job_id}/retry"), 404, "not_found")
    problem(await client.http.get(f"/enhance/{job_id}/zip"), 404, "not_found")
    problem(await client.http.get(f"/processed/{job_id}.jpg"), 404, "not_found")


async def test_a_file_is_a_job_of_contract_d_and_the_other_way_round(client: Client) -> None:
    state = await ended(client, await accepted(client, ("a.png", photos.encoded("PNG")), scale=2))
    (entry,) = state["results"]
    job = (await client.http.get(f"/v1/jobs/{entry['job_id']}")).json()
    assert (job["status"], job["result_url"]) == (
        "succeeded",
        f"http://relume.test/results/{entry['job_id']}.png",
    )
    job_id = (await client.restore(photos.encoded("PNG"))).json()["job_id"]
    await client.ended(job_id)
    single = await state_of(client, job_id)
    assert (single["status"], single["total"]) == ("completed", 1)
    assert single["results"][0]["url"] == f"/processed/{job_id}.png"


async def test_results_are_prefixed_where_the_operator_says_so(start: Start) -> None:
    async with start(result_base_url="https://photos.example.org") as client:
        state = await ended(client, await accepted(client, ("a.png", photos.encoded("PNG"))))
        (entry,) = state["results"]
        assert entry["url"] == f"https://photos.example.org/processed/{entry['job_id']}.png"


async def test_after_the_janitor_the_entry_says_that_the_file_is_gone(start: Start) -> None:
    async with start(result_ttl_minutes=0.00001) as client:
        batch_id = await accepted(client, ("a.png", photos.encoded("PNG")))
        url = f"/processed/{(await ended(client, batch_id))['results'][0]['job_id']}.png"
        async with asyncio.timeout(PATIENCE):
            while "expired" not in (state := await state_of(client, batch_id))["results"][0]:
                await client.services.janitor.sweep()
        (entry,) = state["results"]
        assert (state["status"], entry["expired"], entry["code"]) == ("completed", True, "expired")
        assert "url" not in entry
        assert "deleted" in entry["error"]
        problem(await client.http.get(url), 410, "expired")
        problem(await client.http.get(f"/enhance/{batch_id}/zip"), 410, "expired")
        problem(await client.http.post(f"/enhance/{batch_id}/retry"), 409, "conflict")


# Waiting, cancelling, trying again


async def test_waiting_batches_know_their_place(start: Start) -> None:
    async with start(provider="builtin") as client:
        await client.services.queue.stop()  # Nothing is begun: what waits can be counted.
        files = [(f"{index}.jpg", photos.encoded("JPEG")) for index in range(3)]
        first = (await send(client, *files)).json()
        second = (await send(client, files[0])).json()
        third = (await send(client, files[0])).json()
        assert [told["queue_position"] for told in (first, second, third)] == [1, 4, 5]
        state = await state_of(client, second["job_id"])
        assert (state["status"], state["queue_position"], state["results"]) == ("queued", 4, [])
        assert [pending["status"] for pending in state["pending"]] == ["queued"]
        await client.http.delete(f"/enhance/{first['job_id']}")
        assert (await state_of(client, second["job_id"]))["queue_position"] == 1


async def test_a_cancelled_batch_can_be_taken_up_again(start: Start) -> None:
    async with start(provider="builtin") as client:
        await client.services.queue.stop()
        good = photos.encoded("JPEG")
        batch_id = await accepted(client, ("a.jpg", good), ("b.jpg", b"no photo"), ("c.jpg", good))
        cancelled = (await client.http.delete(f"/enhance/{batch_id}")).json()
        assert (cancelled["status"], cancelled["failed"]) == ("failed", 3)
        assert [entry["code"] for entry in cancelled["results"]] == [
            *("job_cancelled", "unsupported_format", "job_cancelled")
        ]
        problem(await client.http.delete(f"/enhance/{batch_id}"), 409, "conflict")

        answer = await client.http.post(f"/enhance/{batch_id}/retry")
        assert answer.status_code == 202
        again = answer.json()
        assert (again["status"], again["total"], again["failed"]) == ("queued", 3, 1)
        assert [pending["original_filename"] for pending in again["pending"]] == ["a.jpg", "c.jpg"]
        old = {entry["job_id"] for entry in cancelled["results"]}
        assert not old & {pending["job_id"] for pending in again["pending"]}
        problem(await client.http.post(f"/enhance/{batch_id}/retry"), 409, "conflict")

        await client.services.queue.start()
        state = await ended(client, batch_id)
        assert (state["status"], state["succeeded"], state["failed"]) == ("completed", 2, 1)
        counts = await client.services.jobs.repository.counts()
        assert counts == {JobStatus.CANCELLED: 2, JobStatus.FAILED: 1, JobStatus.SUCCEEDED: 2}
