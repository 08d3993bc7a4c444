"""The mock: plain pictures that say MOCK, as slow and as unreliable as they are told to be."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import pytest

from relume.errors import JobCancelled, ProviderUnavailable
from relume.imaging.decode import decode
from relume.imaging.photo import Photo
from relume.imaging.resize import resize
from relume.ports import RunContext
from relume.providers.mock import MOCK_TOKEN, MockMode, MockProvider
from relume.settings import Settings
from relume.tasks import Cartoonify, Denoise, GenerateText, RestoreFaces, Task, TextToImage, Upscale
from tests.photos import encoded

AT_ONCE = MockMode(0, 0, 0)
PHOTO = decode(encoded("PNG", 60, 40))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Sleeps are counted, not slept."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def counted(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr("relume.providers.mock.asyncio.sleep", counted)
    return slept


async def drawn(task: TextToImage, provider: MockProvider | None = None) -> Photo:
    result = await (provider or MockProvider()).run(task, None, RunContext())
    assert (result.provider, result.generative, result.cost_usd) == ("mock", False, 0.0)
    assert result.photo is not None
    return result.photo


@pytest.mark.parametrize("size", [(256, 128), (1, 1), (64, 2048), (33, 17)])
async def test_a_picture_has_exactly_the_wanted_size(size: tuple[int, int]) -> None:
    photo = await drawn(TextToImage("a lighthouse", *size))
    assert photo.pixels.shape == (size[1], size[0], 3)


async def test_a_picture_is_one_colour_and_white_letters_large_enough_to_read() -> None:
    photo = await drawn(TextToImage("a lighthouse at night", 400, 300))
    background = photo.pixels[0, 0]
    is_letter = (photo.pixels.astype(int).sum(axis=2) - int(background.sum())) > 200
    columns, rows = np.flatnonzero(is_letter.any(axis=0)), np.flatnonzero(is_letter.any(axis=1))
    assert np.ptp(columns) > 400 * 0.6
    assert np.ptp(rows) > 300 * 0.2
    assert 0.05 < is_letter.mean() < 0.5
    plain = (photo.pixels == background).all(axis=2)
    assert plain.mean() > 0.5


async def test_the_colour_and_the_words_come_from_the_prompt() -> None:
    first, again = [await drawn(TextToImage("a lighthouse", 64, 64, seed=1)) for _ in range(2)]
    assert np.array_equal(first.pixels, again.pixels)
    other = await drawn(TextToImage("a lighthouse", 64, 64, seed=2))
    assert not np.array_equal(first.pixels[0, 0], other.pixels[0, 0])
    wordless = await drawn(TextToImage("", 300, 300))
    worded = await drawn(TextToImage("ünï ☃ 灯台 \ud800 " + "word " * 500, 300, 300))
    assert (wordless.pixels[200:] == wordless.pixels[0, 0]).all()
    assert not (worded.pixels[200:] == worded.pixels[0, 0]).all()


@pytest.mark.parametrize(
    ("task", "scale"), [(Upscale(4), 4), (RestoreFaces("v1.4", 2), 2), (RestoreFaces(), 1), (Cartoonify(), 1)]
)
async def test_a_photo_comes_back_at_its_new_size_with_the_label(task: Task, scale: int) -> None:
    result = await MockProvider(AT_ONCE).run(task, PHOTO, RunContext())
    assert result.photo is not None
    assert (result.photo.width, result.photo.height) == (60 * scale, 40 * scale)
    differs = (result.photo.pixels != resize(PHOTO, 60 * scale, 40 * scale).pixels).any(axis=2)
    assert 0.05 < differs.mean() < 0.5
    assert np.isin(result.photo.pixels[differs], (0, 255)).all()


@pytest.mark.parametrize("shade", [0, 255])
async def test_the_label_shows_on_black_and_on_white(shade: int) -> None:
    plain = Photo(np.full((80, 120, 3), shade, np.uint8))
    result = await MockProvider(AT_ONCE).run(Cartoonify(), plain, RunContext())
    assert result.photo is not None
    assert (result.photo.pixels != shade).mean() > 0.03


async def test_greyscale_sixteen_bits_and_alpha_stay() -> None:
    pixels = (PHOTO.pixels[:, :, :1].astype(np.uint16) * 257) // 2
    grey = Photo(pixels, np.full((40, 60), 9, np.uint16))
    result = await MockProvider(AT_ONCE).run(Upscale(2), grey, RunContext())
    assert result.photo is not None
    assert result.photo.pixels.shape == (80, 120, 1)
    assert result.photo.pixels.dtype == np.uint16
    assert result.photo.pixels.max() == 65535
    assert result.photo.alpha is not None
    assert (result.photo.alpha == 9).all()


async def test_texts_say_mock_too() -> None:
    result = await MockProvider(AT_ONCE).run(GenerateText("Tell of the sea"), None, RunContext())
    assert result.photo is None
    assert str(result.text).startswith("MOCK: ")
    assert "Tell of the sea" in str(result.text)


def test_without_the_token_it_is_only_the_last_resort_for_pictures() -> None:
    photo_tasks = (Upscale(), RestoreFaces(), Cartoonify(), GenerateText("x"))
    last_resort = MockProvider.from_settings(Settings())
    assert last_resort.supports(TextToImage("x"))
    assert not any(last_resort.supports(task) for task in photo_tasks)
    assert not MockProvider.from_settings(Settings(replicate_api_token="r8_real")).supports(Upscale())
    full = MockProvider.from_settings(Settings(replicate_api_token=MOCK_TOKEN))
    assert all(full.supports(task) for task in (*photo_tasks, TextToImage("x")))
    assert not full.supports(Denoise())


async def test_the_delay_lies_between_the_two_settings_and_progress_is_told(waits: list[float]) -> None:
    told: list[float] = []
    context = RunContext(on_progress=lambda fraction, _step: told.append(fraction))
    settings = Settings(
        replicate_api_token=MOCK_TOKEN,
        replicate_mock_delay_min=3,
        replicate_mock_delay_max=5,
        replicate_mock_failure_rate=0,
    )
    totals = set()
    for _ in range(20):
        waits.clear()
        await MockProvider.from_settings(settings).run(TextToImage("x", 8, 8), None, context)
        totals.add(round(sum(waits), 6))
        assert max(waits) < 0.2
    assert 3 <= min(totals) <= max(totals) <= 5
    assert len(totals) > 10
    assert len(set(told)) > 10


async def test_it_fails_as_often_as_it_is_told_to(waits: list[float]) -> None:
    provider = MockProvider(MockMode(0, 0, 0.25), rng=random.Random(1))
    failures = 0
    for _ in range(400):
        try:
            await provider.run(GenerateText("x"), None, RunContext())
        except ProviderUnavailable:
            failures += 1
    assert 70 <= failures <= 130


async def test_the_last_resort_neither_waits_nor_fails(waits: list[float]) -> None:
    for _ in range(20):
        await drawn(TextToImage("x", 8, 8))
    assert waits == []


async def test_a_cancel_takes_hold_during_the_delay(waits: list[float]) -> None:
    context = RunContext()
    context.on_progress = lambda fraction, _step: context.cancelled.set() if fraction > 0.3 else None
    with pytest.raises(JobCancelled):
        await MockProvider(MockMode(4, 4, 0)).run(TextToImage("x", 8, 8), None, context)
    assert sum(waits) < 2
