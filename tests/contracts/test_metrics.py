"""`/metrics` as Prometheus reads it, over the whole application."""

from __future__ import annotations

import asyncio
import base64
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError

from relume.http import metrics as endpoint
from relume.metrics import COUNTERS, GAUGES, HISTOGRAMS
from tests import photos
from tests.contracts.conftest import Client, Start, problem

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded machine is no broken database."""
    monkeypatch.setattr(endpoint, "_PATIENCE_SECONDS", 60.0)


def samples_of(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scrape(client: Client) -> Samples:
    answer = await client.http.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples_of(answer.text)


def find(samples: Samples, name: str, **labels: str) -> float:
    """The sum of all series of a name that have these labels."""
    wanted = set(labels.items())
    return sum(value for (found, inside), value in samples.items() if found == name and wanted <= set(inside))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def test_jobs_of_each_contract_are_counted(start: Start) -> None:
    """Nobody listens at the URL's port: that job fails."""
    async with start(fetch_allowed_hosts="127.0.0.1") as client:
        await client.restored(photos.encoded("PNG"))
        body = {"image": b64(photos.encoded("PNG")), "scale": 2}
        assert (await client.http.post("/api/ai/hd-image", json=body)).status_code == 200
        sent = await client.http.post("/restore", json={"imageUrl": "http://127.0.0.1:9/photo.jpg"})
        await client.ended(sent.json()["jobId"])
        samples = await settled(client, "relume_jobs_total", 3)

    done = {"provider": "builtin", "status": "succeeded"}
    assert find(samples, "relume_jobs_total", contract="v1", **done) == 1
    assert find(samples, "relume_jobs_total", contract="mobile", model="mobile/hd-image", **done) == 1
    failed = {"contract": "restore_url", "provider": "none", "status": "failed", "outcome": "failed"}
    assert find(samples, "relume_jobs_total", **failed) == 1
    assert find(samples, "relume_job_failures_total", contract="restore_url", code="fetch_failed") == 1
    assert find(samples, "relume_jobs_accepted_total") == 3
    assert find(samples, "relume_job_duration_seconds_count") == 3
    assert find(samples, "relume_job_wait_seconds_bucket", lane="local", le="+Inf") == 3
    assert find(samples, "relume_provider_attempts_total", provider="builtin", outcome="succeeded") == 2
    assert find(samples, "relume_provider_attempt_seconds_count", provider="builtin", task="upscale") == 1
    assert find(samples, "relume_http_requests_total", route="/v1/restore", method="POST", status="2xx") == 1
    assert find(samples, "relume_http_request_duration_seconds_count", route="/v1/jobs/{job_id}") > 0
    assert find(samples, "relume_processes", kind="api") == 1
    assert find(samples, "relume_queue_depth", lane="local") == 0
    assert find(samples, "relume_database_up") == 1
    assert find(samples, "process_cpu_seconds_total") > 0
    assert find(samples, "relume_storage_free_bytes") > 0


async def settled(client: Client, name: str, number: float) -> Samples:
    """The figures as soon as so much has been counted: a job's end is seen a moment before."""
    async with asyncio.timeout(60):
        while find(samples := await scrape(client), name) < number:
            await asyncio.sleep(0.05)
    return samples


async def test_all_promised_families_are_there_with_their_types(client: Client) -> None:
    text = (await client.http.get("/metrics")).text
    found = {family.name: family.type for family in text_string_to_metric_families(text)}
    promised = {name.removesuffix("_total"): "counter" for name in COUNTERS}
    promised |= dict.fromkeys(HISTOGRAMS, "histogram") | dict.fromkeys(GAUGES, "gauge")
    assert found.items() >= promised.items()


async def test_histograms_cumulate(client: Client) -> None:
    for _ in range(3):
        await client.http.get("/health")
    samples = await scrape(client)
    buckets = [
        value
        for (name, labels), value in samples.items()
        if name == "relume_http_request_duration_seconds_bucket" and ("route", "/health") in labels
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 3
    assert find(samples, "relume_http_request_duration_seconds_count", route="/health") == 3


async def test_counters_never_go_down_not_even_over_a_restart(start: Start) -> None:
    seen: Samples = {}
    for _ in range(2):
        async with start() as client:
            for _ in range(3):
                await client.restored(photos.encoded("PNG"))
                samples = await scrape(client)
                for key, value in seen.items():
                    assert samples[key] >= value, key
                seen = {key: value for key, value in samples.items() if is_counter(key[0])}
    assert find(seen, "relume_jobs_total") >= 5, "the last one may be counted a moment later"


def is_counter(name: str) -> bool:
    return name.startswith("relume_") and name.endswith(("_total", "_count", "_sum", "_bucket"))


async def test_two_processes_over_one_database_add_up(start: Start) -> None:
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(start()) for _ in range(2)]
        for client, times in ((first, 2), (second, 3)):
            for _ in range(times):
                await client.http.get("/v1/models")
        await scrape(first)
        assert find(await scrape(second), "relume_http_requests_total", route="/v1/models") == 5
        assert find(await scrape(first), "relume_http_requests_total", route="/v1/models") == 5
        await seen(first, 2)


async def seen(client: Client, number: int) -> None:
    async with asyncio.timeout(60):
        while find(await scrape(client), "relume_processes", kind="api") != number:
            await asyncio.sleep(0.05)


async def test_nothing_that_a_client_chooses_becomes_a_label(client: Client) -> None:
    for path in ("/secret-path", "/dashboard/secret-file", "/v1/jobs/secret-id", "/results/secret.jpg"):
        await client.http.get(path)
    await client.http.request("SECRET", "/v1/restore")
    await client.restore(photos.encoded("PNG"), model_id="secret-model")
    answer = await client.http.get("/metrics")
    assert "secret" not in answer.text.lower()
    samples = samples_of(answer.text)
    assert find(samples, "relume_http_requests_total", route="other", status="4xx") == 1
    assert find(samples, "relume_http_requests_total", route="/dashboard", status="4xx") == 1
    assert find(samples, "relume_http_requests_total", method="other", route="/v1/restore") == 1


async def test_json_for_those_who_ask_for_it(client: Client) -> None:
    await client.restored(photos.encoded("PNG"))
    await settled(client, "relume_jobs_total", 1)
    answer = await client.http.get("/metrics", headers={"accept": "application/json"})
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert told["jobs"] == {"queued": 0, "running": 0, "succeeded": 1, "failed": 0, "cancelled": 0}
    assert told["lanes"]["local"] == {"waiting": 0, "oldest_seconds": 0.0, "running": 0}
    assert told["processes"] == {"api": 1, "worker": 0}


@pytest.mark.parametrize("version", ["1.0.0", "nonsense"])
async def test_openmetrics_for_those_who_ask_for_it(client: Client, version: str) -> None:
    accept = f"application/openmetrics-text;version={version},text/plain;q=0.5"
    answer = await client.http.get("/metrics", headers={"accept": accept})
    assert answer.status_code == 200
    if version == "1.0.0":
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        found = {family.name for family in open_families(answer.text)}  # type: ignore[no-untyped-call]
        assert found >= {"relume_jobs", "relume_queue_depth"}


async def test_behind_the_key_where_there_is_one(start: Start) -> None:
    async with start(api_key="k3y") as client:
        problem(await client.http.get("/metrics"), 401, "key_missing")
        problem(await client.http.get("/metrics", headers={"x-api-key": "wrong"}), 403, "key_wrong")
        answer = await client.http.get("/metrics", headers={"x-api-key": "k3y"})
    samples = samples_of(answer.text)
    assert find(samples, "relume_http_refusals_total", reason="key_missing") == 1
    assert find(samples, "relume_http_refusals_total", reason="key_wrong") == 1


async def test_without_a_database_the_other_figures_are_still_told(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> dict[Any, float]:
        raise OperationalError("select", {}, Exception("the database is away"))

    monkeypatch.setattr(client.services.figures, "totals", fail)
    samples = await scrape(client)
    assert find(samples, "relume_database_up") == 0
    assert find(samples, "relume_build_info") == 1
    assert not [name for name, _ in samples if name == "relume_http_requests_total"]
    as_json = await client.http.get("/metrics", headers={"accept": "application/json"})
    problem(as_json, 503, "service_away")


async def test_breakers_are_told(client: Client) -> None:
    breaker = client.services.catalog.breakers.of("replicate", "upscale")
    for _ in range(5):
        breaker.record(succeeded=False)
    samples = await scrape(client)
    labels = {"provider": "replicate", "task": "upscale"}
    assert find(samples, "relume_breaker_state", **labels) == 2
    assert find(samples, "relume_breaker_openings_total", **labels) == 1


async def test_a_refused_request_is_counted_by_its_reason(start: Start) -> None:
    async with start(rate_limit_per_min=1) as client:
        answers: list[httpx.Response] = [await client.restore(photos.encoded("PNG")) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 429]
        assert find(await scrape(client), "relume_http_refusals_total", reason="rate_limited") == 1
