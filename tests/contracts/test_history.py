"""The list of jobs as the dashboard's history reads it, originals and thumbnails, ZIPs, and deleting files."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import zipfile
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests import photos
from tests.contracts.conftest import Client, Start, problem
from tests.patience import PATIENCE

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def upload(client: Client, data: bytes, name: str, **fields: Any) -> str:
    files = {"image": (name, data, "image/jpeg")}
    accepted = await client.http.post("/v1/restore", files=files, data=fields)
    assert accepted.status_code == 201, accepted.text
    job_id: str = accepted.json()["job_id"]
    return job_id


async def restored(client: Client, data: bytes, name: str, **fields: Any) -> str:
    job_id = await upload(client, data, name, **fields)
    assert (await client.ended(job_id))["status"] == "succeeded"
    async with asyncio.timeout(PATIENCE):  # Until the result lies where it stays.
        while (await client.services.jobs.get(UUID(job_id))).staged_key is not None:
            await asyncio.sleep(0.02)
    return job_id


async def listed(client: Client, **chosen: Any) -> list[dict[str, Any]]:
    answer = await client.http.get("/api/v1/jobs", params=chosen)
    assert answer.status_code == 200, answer.text
    jobs: list[dict[str, Any]] = answer.json()["jobs"]
    return jobs


def path_of(url: str) -> str:
    assert url.startswith("http://relume.test/")
    return url.removeprefix("http://relume.test")


# The list


async def test_an_entry_tells_all_that_a_history_shows(client: Client) -> None:
    job_id = await restored(client, photos.encoded("JPEG"), "C:\\old\\Ida.JPG", upscale=2)
    (entry,) = await listed(client)
    assert {name: entry[name] for name in ("id", "name", "kind", "files", "provider", "source")} == {
        "id": job_id,
        "name": "Ida.JPG",
        "kind": "photo",
        "files": "kept",
        "provider": "builtin",
        "source": "builtin",
    }
    assert (entry["width"], entry["height"], entry["cost_usd"]) == (128, 96, 0.0)
    assert entry["seconds"] >= 0
    assert entry["expires_at"] > entry["completed_at"]
    assert path_of(entry["result_url"]) == f"/results/{job_id}.jpg"
    assert path_of(entry["original_url"]) == f"/results/{job_id}/original"
    assert path_of(entry["thumbnail_url"]) == f"/results/{job_id}.jpg/thumbnail"
    for name in ("result_url", "original_url", "thumbnail_url"):
        assert photos.opened((await client.http.get(entry[name])).content).format == "JPEG"
    assert not {"error", "batch_id", "queue_position", "prompt"} & entry.keys()


async def test_a_job_that_waits_shows_its_photo(client: Client) -> None:
    await client.services.queue.stop()
    job_id = await upload(client, photos.encoded("JPEG"), "a.jpg")
    (entry,) = await listed(client, status="pending", kind="photo", search="A.J")
    assert (entry["status"], entry["width"], entry["files"]) == ("pending", 64, "kept")
    assert path_of(entry["thumbnail_url"]) == f"/results/{job_id}/original?size=320"
    assert photos.opened((await client.http.get(entry["thumbnail_url"])).content).size == (64, 48)
    assert "result_url" not in entry
    assert "expires_at" not in entry
    for other in ({"status": "completed"}, {"kind": "picture"}, {"search": "b.jpg"}, {"kind": "text"}):
        assert await listed(client, **other) == []
    assert len(await listed(client, search="  ")) == 1


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("kind=video", "kind"),
        ("kind=", "kind"),
        ("status=done", "status"),
        ("status=completed&status_filter=failed", "status"),
        ("search=" + 201 * "x", "search"),
        ("search=a%00b", "search"),
    ],
)
async def test_a_bad_filter_is_422(client: Client, query: str, named: str) -> None:
    detail = problem(await client.http.get(f"/api/v1/jobs?{query}"), 422, "invalid_parameter")
    assert named in detail


async def test_a_refused_file_has_no_files_and_says_why(client: Client) -> None:
    answer = await client.http.post("/enhance", files=[("files", ("a.txt", b"no photo"))])
    (entry,) = await listed(client)
    assert (entry["files"], entry["name"], entry["status"]) == ("none", "a.txt", "failed")
    assert entry["batch_id"] == answer.json()["job_id"]
    assert entry["error"] == entry["error_message"]
    assert not {"original_url", "thumbnail_url", "expires_at"} & entry.keys()


async def test_waiting_jobs_tell_their_place(client: Client) -> None:
    await client.services.queue.stop()
    ids = [await upload(client, photos.encoded("JPEG"), f"{number}.jpg") for number in range(3)]

    async def place(job_id: str) -> Any:
        return (await client.http.get(f"/api/v1/status/{job_id}")).json().get("queue_position")

    assert [await place(job_id) for job_id in ids] == [1, 2, 3]
    assert set((await client.http.get(f"/v1/jobs/{ids[0]}")).json()) == {
        *("job_id", "status", "progress", "result_url", "error")
    }
    await client.http.delete(f"/v1/jobs/{ids[0]}")
    assert [await place(job_id) for job_id in ids] == [None, 1, 2]


async def test_events_tell_the_place_and_when_it_changes(client: Client) -> None:
    await client.services.queue.stop()
    client.services.jobs._events._quiet_seconds = 0.05  # type: ignore[attr-defined]
    first, second = [await upload(client, photos.encoded("JPEG"), "a.jpg") for _ in range(2)]
    watching = asyncio.create_task(client.http.get(f"/v1/jobs/{second}/events"))
    looks = 0
    repository = client.services.batches.repository
    counted = repository.waiting_before

    async def waiting_before(job: Any) -> int:
        nonlocal looks
        looks += 1
        return await counted(job)

    repository.waiting_before = waiting_before  # type: ignore[method-assign]
    async with asyncio.timeout(PATIENCE):
        while looks < 3:
            await asyncio.sleep(0.01)
        await client.http.delete(f"/v1/jobs/{first}")
        seen = looks
        while looks < seen + 2:
            await asyncio.sleep(0.01)
        await client.http.delete(f"/v1/jobs/{second}")
    lines = (await watching).text.splitlines()
    told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert [event.get("queue_position") for event in told] == [2, 1, None], "repetitions are left out"


# Originals and thumbnails


@pytest.mark.parametrize(("format_", "kind"), [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp")])
async def test_an_original_is_served_as_it_came(client: Client, format_: str, kind: str) -> None:
    data = photos.encoded(format_)
    await client.services.queue.stop()
    job_id = await upload(client, data, "x")
    answer = await client.http.get(f"/results/{job_id}/original")
    assert (answer.status_code, answer.content) == (200, data)
    assert answer.headers["content-type"] == f"image/{kind}"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-length"] == str(len(data))
    head = await client.http.head(f"/results/{job_id}/original")
    assert (head.status_code, head.content) == (200, b"")
    again = {"If-None-Match": answer.headers["etag"]}
    assert (await client.http.get(f"/results/{job_id}/original", headers=again)).status_code == 304


async def test_heic_becomes_a_jpeg_and_sizes_are_snapped(client: Client) -> None:
    job_id = await restored(client, photos.encoded("HEIF", 400, 300), "x.heic")
    whole = await client.http.get(f"/results/{job_id}.jpg/original")
    assert (whole.headers["content-type"], photos.opened(whole.content).size) == ("image/jpeg", (400, 300))
    answers = [await client.http.get(f"/results/{job_id}/original?size={size}") for size in (64, 160, 161)]
    assert [photos.opened(answer.content).size for answer in answers] == [(160, 120), (160, 120), (320, 240)]
    assert answers[0].headers["etag"] == answers[1].headers["etag"] != answers[2].headers["etag"]
    small = await client.http.get(f"/results/{job_id}.jpg/thumbnail")
    assert photos.opened(small.content).size == (320, 240)
    tag = {"If-None-Match": small.headers["etag"]}
    assert (await client.http.get(f"/results/{job_id}.jpg/thumbnail", headers=tag)).status_code == 304
    assert (await client.http.get(f"/results/{job_id}/thumbnail?size=160", headers=tag)).status_code == 200


async def test_pictures_that_are_not_there_are_told_as_results_are(client: Client) -> None:
    for what in ("original", "thumbnail"):
        problem(await client.http.get(f"/results/{uuid4()}/{what}"), 404, "not_found")
        problem(await client.http.get(f"/results/nothing.jpg/{what}"), 404, "not_found")
        for size in ("63", "4097", "big", "-1"):
            answer = await client.http.get(f"/results/{uuid4()}/{what}?size={size}")
            assert "size" in problem(answer, 400, "invalid_parameter")
    await client.services.queue.stop()
    job_id = await upload(client, photos.encoded("JPEG"), "a.jpg")
    problem(await client.http.get(f"/results/{job_id}/thumbnail"), 409, "conflict")
    problem(await client.http.get(f"/results/{job_id}.png/original"), 404, "not_found")


# Deleting


async def test_deleted_files_are_gone_everywhere_and_the_record_stays(client: Client) -> None:
    job_id = await restored(client, photos.encoded("JPEG"), "ida.jpg")
    gone = await client.http.delete(f"/api/v1/jobs/{job_id}/files")
    assert gone.status_code == 200, gone.text
    assert (gone.json()["files"], gone.json()["status"]) == ("expired", "completed")
    (entry,) = await listed(client)
    assert entry == gone.json()
    assert not {"name", "result_url", "original_url", "thumbnail_url", "expires_at"} & entry.keys()
    for path in ("{}.jpg", "{}.jpg/thumbnail", "{}/original"):
        problem(await client.http.get(f"/results/{path.format(job_id)}"), 410, "expired")
    folder = client.services.settings.storage_folder
    assert [path for path in folder.rglob("*") if job_id in path.name] == []
    again = await client.http.delete(f"/api/v1/jobs/{job_id}/files")
    assert (again.status_code, again.json()) == (200, entry)
    assert (await client.http.get(f"/v1/jobs/{job_id}")).json()["status"] == "succeeded"


async def test_a_job_that_waits_has_to_be_cancelled_first(client: Client) -> None:
    await client.services.queue.stop()
    job_id = await upload(client, photos.encoded("JPEG"), "a.jpg")
    detail = problem(await client.http.delete(f"/api/v1/jobs/{job_id}/files"), 409, "conflict")
    assert "Cancel it first" in detail
    await client.http.delete(f"/api/v1/jobs/{job_id}")
    assert (await client.http.delete(f"/api/v1/jobs/{job_id}/files")).json()["files"] == "expired"
    problem(await client.http.delete(f"/api/v1/jobs/{uuid4()}/files"), 404, "not_found")


async def test_a_drawn_picture_goes_with_its_metadata(start: Start) -> None:
    mock = {"replicate_api_token": "mock_token_for_demo", "replicate_mock_failure_rate": 0}
    async with start(**mock, replicate_mock_delay_min=0, replicate_mock_delay_max=0) as client:
        job_id = (await client.http.post("/api/v1/generate", json={"prompt": "A Lake"})).json()["id"]
        await client.ended(job_id)
        async with asyncio.timeout(PATIENCE):
            while (await client.services.jobs.get(UUID(job_id))).staged_key is not None:
                await asyncio.sleep(0.02)
        (entry,) = await listed(client, kind="picture", search="lake")
        assert photos.opened((await client.http.get(entry["thumbnail_url"])).content).width == 320
        problem(await client.http.get(f"/results/{job_id}/original"), 404, "not_found")
        assert "original_url" not in entry
        await client.http.delete(f"/api/v1/jobs/{job_id}/files")
        problem(await client.http.get(entry["result_url"]), 410, "expired")
        problem(await client.http.get(f"/api/v1/jobs/{job_id}/metadata"), 410, "expired")
        assert (await listed(client, search="lake"))[0]["prompt"] == "A Lake"


async def test_a_text_is_a_result_too(start: Start) -> None:
    async with start(
        provider="mock",
        replicate_api_token="mock_token_for_demo",
        replicate_mock_failure_rate=0,
        replicate_mock_delay_min=0,
        replicate_mock_delay_max=0,
    ) as client:
        told = (await client.http.post("/api/huggingface/text-generation", json={"prompt": "Ways"})).json()
        (entry,) = await listed(client, kind="text", search="WAYS")
        assert (entry["id"], entry["files"]) == (told["job_id"], "kept")
        assert not {"width", "original_url", "thumbnail_url"} & entry.keys()
        name = entry["result_url"].rpartition("/")[2]
        archive, manifest = unpacked(await client.http.post("/results/zip", json={"name": [name]}))
        assert archive.read(manifest[0]["name"]).decode() == told["text"]
        problem(await client.http.get(f"/results/{told['job_id']}/thumbnail"), 409, "conflict")
        await client.http.delete(f"/api/v1/jobs/{told['job_id']}/files")
        problem(await client.http.get(entry["result_url"]), 410, "expired")
        assert (await client.services.jobs.get(UUID(told["job_id"]))).result_text is None


# Many results at once


def names(*pairs: str) -> str:
    return "&".join(f"name={name}" for name in pairs)


def unpacked(answer: httpx.Response) -> tuple[zipfile.ZipFile, list[dict[str, Any]]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith('attachment; filename="relume-')
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    return archive, json.loads(archive.read("manifest.json"))


async def test_results_of_any_jobs_come_in_one_zip(client: Client) -> None:
    ids = [await restored(client, photos.encoded("JPEG"), name) for name in ("Ida.JPG", "ida.jpeg")]
    gone = await restored(client, photos.encoded("JPEG"), "gone.jpg")
    await client.http.delete(f"/api/v1/jobs/{gone}/files")
    await client.services.queue.stop()
    failed = await upload(client, photos.encoded("JPEG"), "failed.jpg")
    await client.http.delete(f"/v1/jobs/{failed}")
    asked = [f"{ids[0]}.jpg", f"{ids[1]}.jpg", f"{gone}.jpg", f"{failed}.jpg"]
    asked += [f"{uuid4()}.jpg", "../../etc/passwd", f"{ids[0]}.png", f"{ids[0]}.jpg"]
    by_form = await client.http.post("/results/zip", content=names(*asked), headers=FORM)
    archive, manifest = unpacked(by_form)
    assert archive.namelist() == ["Ida.jpg", "ida-2.jpg", "manifest.csv", "manifest.json"]
    assert archive.read("Ida.jpg") == (await client.http.get(f"/results/{ids[0]}.jpg")).content
    assert len(manifest) == 7, "what is named twice comes once"
    assert [row["error_code"] for row in manifest[:3]] == [None, None, "expired"]
    assert [row["error_code"] for row in manifest[3:]] == ["conflict", *3 * ["not_found"]]
    assert all(row["error"] for row in manifest[2:])
    assert "deleted" in manifest[2]["error"]
    rows = list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode("utf-8-sig"))))
    assert [row["job_id"] for row in rows[:3]] == [*ids, gone]

    by_json = await client.http.post("/results/zip", json={"name": asked})
    assert unpacked(by_json)[1] == manifest


async def test_a_zip_of_nothing_is_an_error(client: Client) -> None:
    async def asked(*wanted: str) -> httpx.Response:
        return await client.http.post("/results/zip", content=names(*wanted), headers=FORM)

    problem(await asked(f"{uuid4()}.jpg", "x"), 404, "not_found")
    await client.services.queue.stop()
    waiting = await upload(client, photos.encoded("JPEG"), "a.jpg")
    problem(await asked(f"{waiting}.jpg", f"{uuid4()}.jpg"), 409, "conflict")
    await client.http.delete(f"/v1/jobs/{waiting}")
    await client.http.delete(f"/api/v1/jobs/{waiting}/files")
    problem(await asked(f"{waiting}.jpg", f"{uuid4()}.jpg"), 410, "expired")

    assert "1 to 500" in problem(await asked(), 400, "invalid_parameter")
    many = [f"{number}.jpg" for number in range(501)]
    assert "1 to 500" in problem(await asked(*many), 400, "invalid_parameter")
    problem(await client.http.post("/results/zip", content=b"{"), 400, "invalid_input")
    bodies: list[Any] = [[], {"name": "a.jpg"}, {"name": [1]}, {}]
    for body in bodies:
        problem(await client.http.post("/results/zip", json=body), 400, "invalid_parameter")
    long = await client.http.post("/results/zip", content=b"name=" + b"x" * 70_000, headers=FORM)
    assert "too long" in problem(long, 400, "invalid_input")


async def test_addresses_open_files_without_a_key_and_lists_do_not(start: Start) -> None:
    async with start(api_key="sesame") as client:
        key = {"X-API-KEY": "sesame"}
        client.http.headers.update(key)
        job_id = await restored(client, photos.encoded("JPEG"), "a.jpg")
        del client.http.headers["X-API-KEY"]
        for path in (f"/results/{job_id}/original", f"/results/{job_id}.jpg/thumbnail"):
            assert (await client.http.get(path)).status_code == 200
        answer = await client.http.post("/results/zip", json={"name": [f"{job_id}.jpg"]})
        assert unpacked(answer)[1][0]["name"] == "a.jpg"
        problem(await client.http.delete(f"/api/v1/jobs/{job_id}/files"), 401, "key_missing")
        wrong = {"X-API-KEY": "wrong"}
        answer = await client.http.delete(f"/api/v1/jobs/{job_id}/files", headers=wrong)
        problem(answer, 403, "key_wrong")
        assert (await client.http.delete(f"/api/v1/jobs/{job_id}/files", headers=key)).status_code == 200
