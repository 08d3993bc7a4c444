from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from relume.builtin.restorer import restore, run_task
from relume.errors import JobCancelled
from relume.imaging.photo import Metadata, Photo
from relume.ports import RunContext
from relume.tasks import (
    BalanceColour,
    Cartoonify,
    Denoise,
    RepairDamage,
    RestoreFaces,
    Sharpen,
    Task,
    Upscale,
)

AddNoise = Callable[[Photo, float], Photo]
Psnr = Callable[[Photo, Photo], float]

STEPS = ["repair_damage", "denoise", "balance_colour", "sharpen", "upscale"]


def test_a_clean_photo_comes_back_untouched(clean: Photo) -> None:
    result, reports = restore(clean, RunContext())
    assert result.pixels is clean.pixels
    assert [report.name for report in reports] == STEPS
    assert not any(report.changed for report in reports)
    assert all(report.detail.endswith(".") and 0 <= report.confidence <= 1 for report in reports)


@pytest.mark.parametrize("task", [RestoreFaces(region="eyes"), RestoreFaces(faces=(1,))])
def test_a_choice_of_faces_changes_nothing_and_is_spoken_of(
    chelsea: Photo, add_noise: AddNoise, task: RestoreFaces
) -> None:
    old = add_noise(chelsea, 8)
    whole, reports = run_task(RestoreFaces(), old, RunContext())
    made, told = run_task(task, old, RunContext())
    assert np.array_equal(made.pixels, whole.pixels)
    assert [report.name for report in told] == [*(report.name for report in reports), "restore_faces"]
    assert "it treated the whole photo" in told[-1].detail
    assert not told[-1].changed


def test_an_old_photo_comes_out_better(clean: Photo, add_noise: AddNoise, psnr: Psnr) -> None:
    low, high = np.percentile(clean.pixels, (0.5, 99.5))
    truth = Photo(np.clip((clean.pixels - low) * 250 / (high - low), 0, 250).astype(np.uint8))
    old = add_noise(Photo((truth.pixels * 0.6 + 55).astype(np.uint8)), 8)
    result, reports = restore(old, RunContext())
    assert {report.name for report in reports if report.changed} >= {"denoise", "balance_colour"}
    assert psnr(result, truth) > psnr(old, truth) + 3


def test_enlarges_and_keeps_what_the_file_said(chelsea: Photo) -> None:
    photo = Photo(chelsea.pixels, metadata=Metadata(dpi=(300, 300)))
    result, reports = restore(photo, RunContext(), scale=2)
    assert (result.width, result.height) == (2 * photo.width, 2 * photo.height)
    assert result.metadata == photo.metadata
    assert reports[-1].changed
    assert reports[-1].seconds > 0


@pytest.mark.parametrize(
    ("task", "names"),
    [
        (RestoreFaces(), STEPS),
        (Upscale(2), ["upscale"]),
        (RepairDamage(), ["repair_damage"]),
        (Denoise(), ["denoise"]),
        (BalanceColour(), ["balance_colour"]),
        (Sharpen(), ["sharpen"]),
        (Cartoonify(), ["cartoonify"]),
    ],
)
def test_each_task_is_its_step(chelsea: Photo, task: Task, names: list[str]) -> None:
    _, reports = run_task(task, chelsea, RunContext())
    assert [report.name for report in reports] == names


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 1), (1, 4096, 3), (37, 3, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_takes_any_size(shape: tuple[int, ...], dtype: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
    result, _ = restore(Photo(pixels, alpha=pixels[..., 0]), RunContext(), scale=2)
    assert result.pixels.shape == (shape[0] * 2, shape[1] * 2, shape[2])
    assert result.pixels.dtype == dtype


def test_the_same_photo_gives_the_same_result(chelsea: Photo, add_noise: AddNoise) -> None:
    noisy = add_noise(chelsea, 10)
    first, second = (restore(noisy, RunContext())[0] for _ in range(2))
    assert np.array_equal(first.pixels, second.pixels)


def test_progress_only_goes_up(chelsea: Photo, add_noise: AddNoise) -> None:
    fractions: list[float] = []
    steps: list[str] = []

    def note(fraction: float, step: str) -> None:
        fractions.append(fraction)
        steps.append(step)

    restore(add_noise(chelsea, 10), RunContext(on_progress=note), scale=4)
    assert fractions == sorted(fractions)
    assert steps[0] == "measure"
    assert {"denoise", "upscale"} <= set(steps)


@pytest.mark.parametrize("label", ["measure", "denoise", "upscale"])
def test_a_cancel_stops_it_at_the_next_tile(chelsea: Photo, add_noise: AddNoise, label: str) -> None:
    cancelled = threading.Event()
    told: list[str] = []

    def cancel_at(_fraction: float, step: str) -> None:
        told.append(step)
        if step == label:
            cancelled.set()

    large = Photo(add_noise(chelsea, 10).pixels.repeat(2, axis=0).repeat(2, axis=1))
    with pytest.raises(JobCancelled):
        restore(large, RunContext(on_progress=cancel_at, cancelled=cancelled), scale=2)
    assert told.count(label) == 1
    assert told[-1] == label
