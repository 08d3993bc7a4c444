"""Contract B over several providers: who is named as the source, and what is told when all of them fail."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from relume.providers import chain, cog
from tests import photos
from tests.contracts.conftest import Client, Start
from tests.doubles import pictures
from tests.doubles.openai import CHAT, OpenAIServer
from tests.loopback import Loopback

NOBODY = "http://127.0.0.1:9"
TEXT = "/api/huggingface/text-generation"
PICTURE = "/api/huggingface/text-to-image"


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "_FIRST_WAIT_SECONDS", 0.01)


async def told(client: Client, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
    response = await client.http.post(path, json=body)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


def photo() -> str:
    return base64.b64encode(photos.encoded("PNG")).decode()


async def test_a_text_comes_from_the_server_of_the_settings(start: Start) -> None:
    async with OpenAIServer() as server:
        server.says("Keep them dry.")
        async with start(huggingface_base_url=server.url("")) as client:
            answer = await told(client, TEXT, prompt=" How? ", max_new_tokens=9, temperature=0, model="a/b")
            asked = server.asked()
            await told(client, TEXT, prompt="How?")
    assert set(answer) == {"success", "text", "message", "source", "job_id"}
    assert (answer["success"], answer["text"], answer["source"]) == (True, "Keep them dry.", "huggingface")
    assert asked["messages"] == [{"role": "user", "content": "How?"}]
    assert (asked["model"], asked["max_tokens"], asked["temperature"]) == ("a/b", 9, 0)
    assert server.asked()["model"].startswith("mistralai/Mistral-7B-Instruct")


async def test_a_text_that_nobody_gives_is_502(start: Start) -> None:
    async with OpenAIServer() as server:
        server.answers(CHAT, {"error": "secret"}, 500)
        async with start(huggingface_base_url=server.url("")) as client:
            answer = await told(client, TEXT, 502, prompt="How?")
    assert answer["error"] == "All services failed: Hugging Face is not available."
    assert set(answer) == {"success", "error", "job_id"}


async def test_a_picture_comes_from_hugging_face_first(start: Start) -> None:
    async with OpenAIServer() as server:
        server.draws(pictures.painted(300, 200, 1))
        async with start(huggingface_base_url=server.url("")) as client:
            answer = await told(client, PICTURE, prompt="a lake", width=256, height=128, seed=4)
    assert (answer["source"], answer["message"]) == ("huggingface", "Image processed successfully")
    assert photos.opened(base64.b64decode(answer["image"].partition(",")[2])).size == (256, 128)
    assert (server.asked()["size"], server.asked()["seed"]) == ("256x128", 4)


async def test_a_model_of_ones_own_is_local(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    class Id:
        hex = "abc"

    monkeypatch.setattr(cog, "uuid4", Id)
    made = pictures.to_data_uri(pictures.made_from(photos.encoded("PNG"), 2))
    async with Loopback(status=404) as server:
        ended = {"status": "succeeded", "output": made}
        server.pages["/predictions/abc"] = (200, {}, json.dumps(ended).encode())
        async with start(cog_upscale_url=server.url("")) as client:
            assert (await told(client, "/api/ai/hd-image", image=photo(), scale=2))["source"] == "local"


async def test_when_all_fail_there_is_a_clause_for_each_that_was_tried(start: Start) -> None:
    hosted = {"replicate_api_token": "r8_x", "replicate_base_url": NOBODY, "cog_upscale_url": NOBODY}
    async with start(**hosted, chain_upscale="replicate,huggingface,cog") as client:
        answer = await told(client, "/api/ai/hd-image", 502, image=photo(), scale=2)
    assert set(answer) == {"success", "error", "job_id"}
    assert answer["error"] == (
        "All services failed: Replicate cannot be reached at the moment. "
        "The Cog server cannot be reached at the moment."
    )


async def test_the_same_key_is_answered_by_the_same_job(client: Client) -> None:
    key = {"Idempotency-Key": "k"}
    body = {"image": photo(), "scale": 2}
    first = await client.http.post("/api/ai/hd-image", json=body, headers=key)
    again = await client.http.post("/api/ai/hd-image", json=body, headers=key)
    assert first.status_code == 200
    assert again.json() == first.json()
    other = await client.http.post("/api/ai/hd-image", json=body | {"scale": 4}, headers=key)
    assert (other.status_code, other.json()["success"]) == (400, False)


async def test_a_result_that_is_deleted_already_is_410_with_its_job(start: Start) -> None:
    key = {"Idempotency-Key": "k"}
    async with start(result_ttl_minutes=0.0001) as client:
        body = {"image": photo(), "scale": 2}
        first = await client.http.post("/api/ai/hd-image", json=body, headers=key)
        again = first
        while again.status_code == 200:
            await client.services.janitor.sweep()
            again = await client.http.post("/api/ai/hd-image", json=body, headers=key)
    assert again.status_code == 410, again.text
    assert again.json()["job_id"] == first.json().get("job_id", again.json()["job_id"])


@pytest.mark.parametrize("prompt", ["a\0b", "half a \ud800 pair"])
@pytest.mark.parametrize("path", [TEXT, PICTURE])
async def test_what_is_no_text_is_no_prompt(client: Client, path: str, prompt: str) -> None:
    response = await client.http.post(path, content=json.dumps({"prompt": prompt}))
    assert response.status_code == 400, response.text
    assert "prompt" in response.json()["error"]
