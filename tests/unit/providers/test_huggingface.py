"""Hugging Face: what is asked, what is made of each answer, and what of each failure."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from relume.errors import (
    JobCancelled,
    OutputInvalid,
    ProviderBusy,
    ProviderError,
    ProviderNoCredit,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from relume.imaging.decode import decode
from relume.ports import Result, RunContext
from relume.providers.huggingface import IMAGE_MODEL, TEXT_MODEL, HuggingFaceConfig, HuggingFaceProvider
from relume.settings import Settings
from relume.tasks import Cartoonify, Denoise, GenerateText, RestoreFaces, Task, TextToImage, Upscale
from tests.doubles.openai import CHAT, IMAGES, JSON, OpenAIServer
from tests.loopback import Loopback
from tests.photos import encoded

TEXT = GenerateText("Tell of the sea.", max_new_tokens=20, temperature=0.2)
PICTURE = TextToImage("a lighthouse", width=96, height=64, seed=7)
PHOTO = decode(encoded("PNG", 16, 12))


async def run(server: Loopback, task: Task, **config: Any) -> Result:
    given = {"base_url": server.url(""), "token": "hf_secret"} | config
    return await HuggingFaceProvider(HuggingFaceConfig(**given)).run(task, None, RunContext())


class TestText:
    async def test_the_answer_of_a_chat_is_given_without_blanks_around_it(self) -> None:
        async with OpenAIServer() as server:
            server.says("  The sea is wide.\n")
            result = await run(server, TEXT)
        assert (result.text, result.photo) == ("The sea is wide.", None)
        assert (result.provider, result.model, result.generative) == ("huggingface", TEXT_MODEL, True)
        assert server.asked() == {
            "model": TEXT_MODEL,
            "messages": [{"role": "user", "content": "Tell of the sea."}],
            "max_tokens": 20,
            "temperature": 0.2,
        }
        assert server.requests[0].headers["authorization"] == "Bearer hf_secret"

    async def test_a_task_may_name_its_model(self) -> None:
        async with OpenAIServer() as server:
            server.says("Yes.")
            result = await run(server, GenerateText("?", model="tiny"), base_url=server.url("/v1"))
        assert (result.model, server.asked()["model"], server.requests[0].path) == ("tiny", "tiny", CHAT)

    async def test_without_a_server_of_our_own_hugging_faces_router_is_asked(self) -> None:
        async with OpenAIServer() as server:
            server.says("Yes.")
            assert (await run(server, TEXT, base_url=None, router_url=server.url(""))).text == "Yes."

    async def test_a_server_without_chat_is_asked_the_older_way_and_the_prompt_is_cut_off(self) -> None:
        async with OpenAIServer() as server:
            server.answers("/", [{"generated_text": "Tell of the sea. It is wide."}])
            result = await run(server, TEXT)
        assert result.text == "It is wide."
        parameters = {"max_new_tokens": 20, "temperature": 0.2, "return_full_text": False}
        assert server.asked() == {"inputs": "Tell of the sea.", "parameters": parameters}

    @pytest.mark.parametrize("content", ["", " \n", None, ["text"]])
    async def test_an_answer_without_text_is_no_result(self, content: object) -> None:
        async with OpenAIServer() as server:
            server.says(content)
            with pytest.raises(OutputInvalid):
                await run(server, TEXT)

    @pytest.mark.parametrize(
        "body",
        [
            b"<html>Welcome</html>",
            b"",
            b"{}",
            b"[]",
            b'{"choices": []}',
            b'{"choices": [null]}',
            b"\xff",
            b"[" * 99_999,
        ],
    )
    async def test_an_answer_of_another_kind_is_no_result(self, body: bytes) -> None:
        async with OpenAIServer() as server:
            server.pages[CHAT] = (200, JSON, body)
            with pytest.raises(OutputInvalid):
                await run(server, TEXT)


class TestPictures:
    async def test_a_picture_has_exactly_the_wanted_size(self) -> None:
        async with OpenAIServer() as server:
            server.draws(encoded("PNG", 128, 128))
            result = await run(server, PICTURE)
        assert result.photo is not None
        assert result.photo.pixels.shape == (64, 96, 3)
        assert (result.model, result.generative) == (IMAGE_MODEL, True)
        asked = server.asked()
        assert (asked["prompt"], asked["size"], asked["seed"]) == ("a lighthouse", "96x64", 7)

    async def test_a_server_without_that_path_is_asked_the_older_way(self) -> None:
        async with OpenAIServer() as server:
            server.pages["/"] = (200, {"Content-Type": "image/png"}, encoded("PNG", 96, 64, "L"))
            result = await run(server, PICTURE)
        assert result.photo is not None
        assert result.photo.pixels.shape == (64, 96, 3)
        parameters = {"width": 96, "height": 64, "seed": 7}
        assert server.asked() == {"inputs": "a lighthouse", "parameters": parameters}

    @pytest.mark.parametrize("data", [[], [{}], [{"b64_json": "§"}], [{"b64_json": "aGVsbG8="}], None])
    async def test_what_is_no_picture_is_no_result(self, data: object) -> None:
        async with OpenAIServer() as server:
            server.answers(IMAGES, {"data": data})
            with pytest.raises(OutputInvalid):
                await run(server, PICTURE)

    async def test_html_in_place_of_a_picture_is_no_result(self) -> None:
        async with OpenAIServer() as server:
            server.pages["/"] = (200, {"Content-Type": "text/html"}, b"<html>Sign in</html>")
            with pytest.raises(OutputInvalid):
                await run(server, PICTURE)


class TestFailures:
    @pytest.mark.parametrize("task", [TEXT, PICTURE])
    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, ProviderRefused),
            (401, ProviderRefused),
            (402, ProviderNoCredit),
            (403, ProviderRefused),
            (429, ProviderBusy),
            (500, ProviderUnavailable),
            (503, ProviderUnavailable),
            (504, ProviderTimeout),
        ],
    )
    async def test_each_status_has_its_error(
        self, task: Task, status: int, error: type[ProviderError]
    ) -> None:
        async with OpenAIServer() as server:
            for path in (CHAT, IMAGES):
                server.answers(path, {"error": {"message": "secret vendor text"}}, status)
            with pytest.raises(error) as caught:
                await run(server, task)
        assert type(caught.value) is error
        assert "secret" not in caught.value.detail

    async def test_a_busy_server_may_say_for_how_long(self) -> None:
        async with OpenAIServer() as server:
            server.pages[CHAT] = (429, {"Retry-After": "17"}, b"")
            with pytest.raises(ProviderBusy) as caught:
                await run(server, TEXT)
        assert caught.value.extra["retry_after_seconds"] == 17

    async def test_a_server_that_is_not_there_is_unavailable(self) -> None:
        async with OpenAIServer() as server:
            address = server.url("")
        with pytest.raises(ProviderUnavailable):
            await run(server, TEXT, base_url=address)

    async def test_a_slow_answer_ends_at_the_deadline(self) -> None:
        async with OpenAIServer() as server:
            server.hang.add(CHAT)
            with pytest.raises(ProviderTimeout):
                await run(server, TEXT, timeout_seconds=0.3)

    async def test_a_cancel_takes_hold_while_the_answer_is_awaited(self) -> None:
        async with OpenAIServer() as server:
            server.hang.add(CHAT)
            context = RunContext()
            provider = HuggingFaceProvider(HuggingFaceConfig(base_url=server.url("")))
            running = asyncio.create_task(provider.run(TEXT, None, context))
            while not server.requests:
                await asyncio.sleep(0.01)
            context.cancelled.set()
            with pytest.raises(JobCancelled):
                await running


class TestConfiguration:
    ALL = (Upscale(), Cartoonify(), TEXT, PICTURE)

    @staticmethod
    def _supported(**config: Any) -> list[str]:
        provider = HuggingFaceProvider(HuggingFaceConfig(**config))
        return [task.name for task in TestConfiguration.ALL if provider.supports(task)]

    def test_only_what_is_configured_is_supported(self) -> None:
        assert self._supported() == []
        assert self._supported(space_upscale="a/b") == [], "a hosted Space wants a token"
        assert self._supported(space_upscale="http://127.0.0.1:7860") == ["upscale"]
        assert self._supported(space_cartoonify="http://127.0.0.1:7860") == ["cartoonify"]
        assert self._supported(space_cartoonify="a/b", token="hf_x")[0] == "cartoonify"
        assert self._supported(token="hf_x") == ["generate_text", "text_to_image"]
        assert self._supported(base_url="http://x") == ["generate_text", "text_to_image"]

    def test_it_says_why_not(self) -> None:
        provider = HuggingFaceProvider(HuggingFaceConfig(space_cartoonify="http://127.0.0.1:7860"))
        hosted = HuggingFaceProvider(HuggingFaceConfig(space_cartoonify="a/b"))
        assert hosted.why_not(Cartoonify()) == "HUGGINGFACE_TOKEN is not set"
        assert provider.why_not(Upscale()) == "HUGGINGFACE_SPACE_UPSCALE is empty"
        assert "HUGGINGFACE_TOKEN" in str(provider.why_not(TEXT))
        assert provider.why_not(Cartoonify()) is None
        assert provider.why_not(RestoreFaces()) == "it does no restore_faces"
        assert not provider.supports(Denoise())
        assert provider.unavailable() is None
        assert HuggingFaceProvider(HuggingFaceConfig()).unavailable() is not None

    def test_the_settings_default_to_the_two_spaces_and_no_inference(self) -> None:
        provider = HuggingFaceProvider.from_settings(Settings())
        assert [provider.supports(task) for task in self.ALL] == [False, False, False, False]
        settings = Settings(huggingface_token="hf_x", huggingface_space_upscale=" ")
        provider = HuggingFaceProvider.from_settings(settings)
        assert [provider.supports(task) for task in self.ALL] == [False, True, True, True]

    def test_the_vendors_libraries_wait_for_their_first_use(self) -> None:
        code = (
            "import sys, relume.providers.huggingface as h; "
            "print([name for name in ('gradio_client', 'huggingface_hub') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"
