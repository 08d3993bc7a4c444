"""Contract D, row by row."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image
from structlog.testing import capture_logs

from relume.pipeline import Pipeline
from relume.providers import generic
from tests import photos
from tests.contracts.conftest import Client, Start, problem
from tests.images import corpus

NEAR = 25.0
"""PSNR in dB above which a result surely shows the same photo."""


# The good way


async def test_a_photo_is_accepted_at_once_and_restored(client: Client) -> None:
    accepted = await client.restore(photos.encoded("PNG"), upscale=2)
    assert accepted.status_code == 201
    body = accepted.json()
    assert set(body) == {"job_id", "status"}
    assert body["status"] == "queued"
    assert accepted.headers["location"] == f"/v1/jobs/{body['job_id']}"
    state = await client.ended(body["job_id"])
    assert set(state) == {"job_id", "status", "progress", "result_url", "error"}
    assert (state["status"], state["progress"], state["error"]) == ("succeeded", 1.0, None)
    result = await client.http.get(state["result_url"])
    assert result.headers["content-type"] == "image/png"
    assert photos.opened(result.content).size == (128, 96)


@pytest.mark.parametrize(
    ("format_", "result"), [("JPEG", "JPEG"), ("HEIF", "JPEG"), ("PNG", "PNG"), ("WEBP", "PNG")]
)
@pytest.mark.parametrize("upscale", [1, 2, 4])
async def test_every_format_and_scale(client: Client, format_: str, result: str, upscale: int) -> None:
    restored = photos.opened((await client.restored(photos.encoded(format_), upscale=upscale)).content)
    assert (restored.format, restored.size) == (result, (64 * upscale, 48 * upscale))
    small = np.asarray(restored.resize((64, 48), Image.Resampling.BOX).convert("RGB"), float)
    error = np.mean((small - np.asarray(photos.picture(), float)) ** 2) + 1e-9
    assert 10 * np.log10(255**2 / error) > NEAR


async def test_orientation_is_applied_and_exif_kept(client: Client) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Grandfather's camera"
    result = photos.opened((await client.restored(photos.encoded("JPEG", exif=exif.tobytes()))).content)
    assert result.size == (48, 64)
    kept = result.getexif()
    assert (kept.get(0x0112, 1), kept[0x010F]) == (1, "Grandfather's camera")


async def test_greyscale_stays_greyscale_and_alpha_stays(client: Client) -> None:
    grey = photos.opened((await client.restored(photos.encoded("JPEG", mode="L"), upscale=2)).content)
    assert grey.mode == "L"
    image = photos.picture().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    out = io.BytesIO()
    image.save(out, "PNG")
    clear = photos.opened((await client.restored(out.getvalue(), upscale=2)).content)
    assert (clear.mode, clear.size) == ("RGBA", (128, 96))


async def test_strength_is_a_true_blend(client: Client) -> None:
    faded = photos.picture(160, 120).point(lambda value: 90 + value * 0.3)
    out = io.BytesIO()
    faded.save(out, "PNG")
    original = np.asarray(faded, float)
    changes = {}
    for strength in (0.1, 0.5, 1.0):
        result = photos.pixels((await client.restored(out.getvalue(), strength=strength)).content)
        changes[strength] = float(np.abs(result - original).mean())
    assert changes[1.0] > 5
    assert changes[0.5] == pytest.approx(0.5 * changes[1.0], rel=0.05)
    assert changes[0.1] == pytest.approx(0.1 * changes[1.0], rel=0.25)


async def test_the_result_says_that_an_algorithm_touched_it(client: Client) -> None:
    result = await client.restored(photos.encoded("PNG"), upscale=2)
    assert b"digitalsourcetype/algorithmicallyEnhanced" in result.content


# The table of status codes


@pytest.mark.parametrize("case", corpus.REFUSED, ids=str)
async def test_what_is_no_photo_of_the_four_formats_is_refused(client: Client, case: corpus.Case) -> None:
    assert case.error is not None
    problem(await client.restore(case.make()), case.error.status, case.error.code)
    assert await client.services.jobs.repository.counts() == {}


@pytest.mark.parametrize("case", corpus.HANDLED, ids=str)
async def test_unusual_photos_are_restored(client: Client, case: corpus.Case) -> None:
    result = photos.opened((await client.restored(case.make())).content)
    assert result.size == case.size


@pytest.mark.parametrize(
    "fields",
    [
        {"strength": "0.05"},
        {"strength": "1.01"},
        {"strength": "strong"},
        {"strength": "nan"},
        {"strength": ""},
        {"upscale": "3"},
        {"upscale": "2.0"},
        {"upscale": "-1"},
        {"upscale": "two"},
        {"upscale": "²"},
    ],
    ids=str,
)
async def test_parameters_out_of_range_are_400(client: Client, fields: dict[str, str]) -> None:
    detail = problem(await client.restore(photos.encoded(), **fields), 400, "invalid_parameter")
    assert next(iter(fields)) in detail


async def test_the_limits_of_strength_are_allowed(client: Client) -> None:
    for strength in ("0.1", "1.0", "1", " 0.6 "):
        assert (await client.restore(photos.encoded(), strength=strength)).status_code == 201


async def test_an_unknown_model_is_400_and_names_the_known_ones(client: Client) -> None:
    detail = problem(await client.restore(photos.encoded(), model_id="nope"), 400, "unknown_model")
    models = (await client.http.get("/v1/models")).json()["models"]
    assert all(model["id"] in detail for model in models)


async def test_every_listed_model_works(client: Client) -> None:
    for model in (await client.http.get("/v1/models")).json()["models"]:
        result = await client.restored(
            photos.encoded(), model_id=model["id"], upscale=max(model["upscale"][:2])
        )
        assert result.status_code == 200
        assert model["providers"] == ["builtin"]


async def test_no_image_is_400(client: Client) -> None:
    problem(await client.restore(None), 400, "image_missing")
    problem(await client.restore(b""), 400, "image_missing")
    text = await client.http.post("/v1/restore", data={"image": "abc"}, files={"x": (None, b"")})
    problem(text, 400, "image_missing")


async def test_what_is_no_form_is_400(client: Client) -> None:
    problem(await client.http.post("/v1/restore"), 400, "invalid_input")
    problem(await client.http.post("/v1/restore", json={"image": "x"}), 400, "invalid_input")
    form = {"content-type": "multipart/form-data; boundary=x"}
    problem(await client.http.post("/v1/restore", content=b"junk", headers=form), 400, "invalid_input")
    problem(
        await client.http.post("/v1/restore", content=b"x", headers={"content-type": "multipart/form-data"}),
        400,
        "invalid_input",
    )
    two = [("image", ("a.jpg", photos.encoded())), ("image", ("b.jpg", photos.encoded()))]
    problem(await client.http.post("/v1/restore", files=two), 400, "invalid_input")


async def test_a_body_larger_than_allowed_is_413_before_it_is_read(client: Client) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        yield head
        while sent < 200_000_000:
            sent += 1_000_000
            yield bytes(1_000_000)

    form = {"content-type": "multipart/form-data; boundary=x"}
    response = await client.http.post("/v1/restore", content=endless(), headers=form)
    assert "15 MB" in problem(response, 413, "image_too_large")
    assert sent < 20_000_000


async def test_the_limit_follows_its_setting(start: Start) -> None:
    async with start(max_image_mb=0.001) as client:
        assert "0.001 MB" in problem(await client.restore(bytes(200_000)), 413, "image_too_large")
        problem(await client.restore(photos.encoded("PNG")), 413, "image_too_large")


async def test_over_the_rate_limit_is_429_with_retry_after(start: Start) -> None:
    async with start(rate_limit_per_min=3) as client:
        for _ in range(3):
            assert (await client.restore(photos.encoded())).status_code == 201
        refused = await client.restore(photos.encoded())
        problem(refused, 429, "rate_limited")
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        assert (await client.http.get("/v1/models")).status_code == 200, "only making jobs is limited"


async def test_ten_a_minute_are_the_default(start: Start) -> None:
    async with start(rate_limit_per_min=10) as client:
        codes = [(await client.restore(b"")).status_code for _ in range(12)]
        assert codes == [400] * 10 + [429] * 2


async def test_the_feature_flag_gives_503(start: Start) -> None:
    async with start(restore_enabled=False) as client:
        problem(await client.restore(photos.encoded()), 503, "restore_disabled")
        assert (await client.http.get("/health")).status_code == 200


async def test_a_fault_of_ours_is_a_masked_500(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def faulty(_submission: object) -> None:
        raise RuntimeError("/etc/secret-token")

    monkeypatch.setattr(client.services.jobs, "submit", faulty)
    detail = problem(await client.restore(photos.encoded()), 500, "internal_error")
    assert "secret" not in detail


async def test_unknown_jobs_and_addresses_are_404(client: Client) -> None:
    for job_id in (str(uuid4()), "nope", "..%2f..", "1", uuid4().hex):
        for path in (f"/v1/jobs/{job_id}", f"/v1/jobs/{job_id}/events", f"/restore/{job_id}"):
            problem(await client.http.get(path), 404, "not_found")
        problem(await client.http.delete(f"/v1/jobs/{job_id}"), 404, "not_found")
        problem(await client.http.get(f"/results/{job_id}.png"), 404, "not_found")
    problem(await client.http.get("/v2/restore"), 404, "not_found")
    wrong_method = await client.http.get("/v1/restore")
    problem(wrong_method, 405, "method_not_allowed")
    assert wrong_method.headers["allow"] == "POST"


# Beyond the contract


async def test_keys(start: Start) -> None:
    async with start(api_key="s3cret") as client:
        problem(await client.restore(photos.encoded()), 401, "key_missing")
        problem(await client.restore(photos.encoded(), headers={"X-API-KEY": "wrong"}), 403, "key_wrong")
        problem(await client.restore(photos.encoded(), headers={"X-API-KEY": "ä".encode()}), 403, "key_wrong")
        problem(await client.http.get(f"/v1/jobs/{uuid4()}"), 401, "key_missing")
        client.http.headers["X-API-KEY"] = "s3cret"
        result_path = (await client.restored(photos.encoded())).request.url.path
        del client.http.headers["X-API-KEY"]
        for open_path in ("/health", "/docs", "/openapi.json", "/dashboard/", result_path):
            assert (await client.http.get(open_path)).status_code == 200, open_path


async def test_a_key_may_have_any_letters(start: Start) -> None:
    async with start(api_key="chìa khóa") as client:
        models = await client.http.get("/v1/models", headers={b"X-API-KEY": "chìa khóa".encode()})
        assert models.status_code == 200


async def test_events_tell_the_way_to_the_end(client: Client) -> None:
    job_id = (await client.restore(photos.encoded("PNG"), upscale=2)).json()["job_id"]
    response = await client.http.get(f"/v1/jobs/{job_id}/events")
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = [block for block in response.text.strip().split("\n\n") if block.startswith("event:")]
    events = [
        (kind.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for kind, data in (block.split("\n", 1) for block in blocks)
    ]
    assert [kind for kind, _ in events[:-1]] == ["progress"] * (len(events) - 1)
    kind, last = events[-1]
    assert (kind, last["status"], last["progress"]) == ("done", "succeeded", 1.0)
    state = {"job_id", "status", "progress", "result_url", "error", "step"}
    for _, event in events[:-1]:
        assert set(event) == state | ({"queue_position"} if event["status"] == "queued" else set())
    assert set(last) == state | {"outcome", "fidelity", "steps"}
    assert last["outcome"] == "restored"
    upscale = last["steps"][-1]
    assert (upscale["name"], upscale["changed"], upscale["provider"]) == ("upscale", True, "builtin")
    assert upscale["detail"].endswith(".")
    again = await client.http.get(f"/v1/jobs/{job_id}/events")
    assert again.text.count("event: done") == 1


async def test_a_cancelled_job_reads_failed_with_a_sentence(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generic, "_WAIT_SECONDS", (20.0, 20.0))
    async with start(provider="generic") as client:
        job_id = (await client.restore(photos.encoded())).json()["job_id"]
        while (await client.http.get(f"/v1/jobs/{job_id}")).json()["status"] != "running":
            await asyncio.sleep(0.01)
        assert (await client.http.delete(f"/v1/jobs/{job_id}")).status_code == 200
        state = await client.ended(job_id)
        assert (state["status"], state["error"]) == ("failed", "The job was cancelled.")
        assert state["result_url"] is None
        problem(await client.http.delete(f"/v1/jobs/{job_id}"), 409, "conflict")


async def test_the_same_idempotency_key_makes_one_job(client: Client) -> None:
    key = {"Idempotency-Key": "abc"}
    first = await client.restore(photos.encoded(), headers=key)
    again = await client.restore(photos.encoded(), headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    other = await client.restore(photos.encoded(), upscale=2, headers=key)
    problem(other, 400, "idempotency_mismatch")
    long = await client.restore(photos.encoded(), headers={"Idempotency-Key": "k" * 256})
    problem(long, 400, "invalid_input")


async def test_a_webhook_needs_a_secret_and_a_public_address(start: Start) -> None:
    async with start() as client:
        refused = await client.restore(photos.encoded(), webhook_url="https://8.8.8.8/hook")
        assert "WEBHOOK_SECRET" in problem(refused, 400, "invalid_parameter")
    async with start(webhook_secret="whsec_" + "c2VjcmV0" * 4) as client:
        for url in ("http://127.0.0.1/hook", "ftp://example.org", "http://a:b@example.org/"):
            problem(await client.restore(photos.encoded(), webhook_url=url), 400, "url_refused")


async def test_result_urls_take_the_configured_prefix(start: Start) -> None:
    async with start(result_base_url="http://10.0.2.2:8000/") as client:
        job_id = (await client.restore(photos.encoded())).json()["job_id"]
        state = await client.ended(job_id)
        assert state["result_url"] == f"http://10.0.2.2:8000/results/{job_id}.jpg"


async def test_results_can_be_asked_for_politely(client: Client) -> None:
    result = await client.restored(photos.encoded())
    url = str(result.request.url)
    head = await client.http.head(url)
    assert head.headers["content-length"] == str(len(result.content))
    assert head.content == b""
    unchanged = await client.http.get(url, headers={"If-None-Match": result.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    problem(await client.http.get(url.replace(".jpg", ".png")), 404, "not_found")


async def test_an_unfinished_result_is_409_and_an_expired_one_410(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generic, "_WAIT_SECONDS", (0.3, 0.3))
    async with start(provider="generic", result_ttl_minutes=0.0001) as client:
        job_id = (await client.restore(photos.encoded())).json()["job_id"]
        problem(await client.http.get(f"/results/{job_id}.jpg"), 409, "conflict")
        state = await client.ended(job_id)
        await asyncio.sleep(0.05)
        await client.services.janitor.sweep()
        problem(await client.http.get(state["result_url"]), 410, "expired")
        assert (await client.ended(job_id))["status"] == "succeeded", "the record stays"


# The dummy provider


async def test_the_dummy_waits_once_whatever_the_recipe(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generic, "_WAIT_SECONDS", (0.5, 0.5))
    async with start(provider="generic") as client:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await client.restored(photos.encoded(), model_id="restoration/builtin-1", upscale=4)
        assert loop.time() - started < 2.0, "four tasks of half a second would take longer"


async def test_the_dummy_waits_and_copies(start: Start) -> None:
    async with start(provider="generic") as client:
        exif = Image.Exif()
        exif[0x010F] = "Kept"
        data = photos.encoded("JPEG", exif=exif.tobytes())
        loop = asyncio.get_running_loop()
        started = loop.time()
        result = await client.restored(data)
        assert loop.time() - started >= 1.0
        assert result.content == data
        larger = photos.opened((await client.restored(data, upscale=2)).content)
        assert (larger.size, larger.getexif()[0x010F]) == ((128, 96), "Kept")


# Storage and telemetry


async def test_no_client_file_name_reaches_the_disk(client: Client, tmp_path: Path) -> None:
    await client.restored(photos.encoded())
    names = [path.name for path in (tmp_path / "data").rglob("*")]
    assert not [name for name in names if "passwd" in name]
    assert not (tmp_path / "data" / "processed_images" / "staging").exists() or not list(
        (tmp_path / "data" / "processed_images" / "staging").iterdir()
    )


async def test_telemetry_events_are_in_the_log(client: Client) -> None:
    with capture_logs() as events:
        good = (await client.restore(photos.encoded())).json()["job_id"]
        await client.ended(good)
        await _until(lambda: any(event["event"] == "restore.succeeded" for event in events))
    ours = [event for event in events if event.get("job_id") == good]
    assert [event["event"] for event in ours] == ["restore.requested", "restore.started", "restore.succeeded"]
    assert ours[0]["model_id"] == "restoration/gfpgans-1.4"
    assert isinstance(ours[2]["duration_ms"], int)


async def test_the_event_of_a_failure_names_its_class_and_masks_nothing_from_the_log(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def faulty(*_arguments: object) -> None:
        raise RuntimeError("the disk's name")

    monkeypatch.setattr(Pipeline, "run", faulty)
    with capture_logs() as events:
        job_id = (await client.restore(photos.encoded())).json()["job_id"]
        state = await client.ended(job_id)
        await _until(lambda: any(event["event"] == "restore.failed" for event in events))
    (failed,) = [event for event in events if event["event"] == "restore.failed"]
    assert (failed["job_id"], failed["error_class"]) == (job_id, "RuntimeError")
    assert (state["status"], state["result_url"]) == ("failed", None)
    assert "disk" not in state["error"]


async def _until(happened: Callable[[], bool]) -> None:
    """A job's row says that it has ended a moment before the log does."""
    async with asyncio.timeout(10):
        while not happened():
            await asyncio.sleep(0.01)


async def test_a_store_that_is_away_is_told_and_nothing_of_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_key: str, _data: bytes) -> None:
        raise OSError(28, "No space left on device", "/srv/relume/temp_uploads/x.png")

    monkeypatch.setattr(client.services.store, "put", full)
    answer = await client.restore(photos.encoded())
    detail = problem(answer, 503, "service_away")
    assert "/srv" not in detail
    assert answer.headers["retry-after"]
