"""The networks of the built-in restorer: loading them, and what holds whatever they have learnt."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.unit.builtin.tiny_nets import (
    NOISE_SHIFT,
    QUALITY_SHIFT,
    all_nets,
    cleaner,
    estimator,
    upscaler,
    write,
)

from relume.builtin.cards import NetTable
from relume.builtin.degradation import Degradation, combined
from relume.builtin.estimate import Estimate
from relume.builtin.inference import is_neutral, through, without_hidden_colours
from relume.builtin.measure import Damage
from relume.builtin.net import CLEAN, Controls
from relume.builtin.nets import AUTO_MEGAPIXELS, NO_NETS, Nets
from relume.builtin.noise import Noise
from relume.builtin.restorer import restore, run_task
from relume.builtin.upscale import back_project, upscale
from relume.errors import JobCancelled
from relume.imaging.photo import Photo
from relume.ports import RunContext
from relume.tasks import Denoise, Upscale

pytest.importorskip("openvino", reason="no OpenVINO for this platform")

AddNoise = Callable[[Photo, float], Photo]
Psnr = Callable[[Photo, Photo], float]
DIRTY = Controls(6.0, 60.0)


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Nets:
    return all_nets(tmp_path_factory.mktemp("nets"), "best")


def noise_photo(shape: tuple[int, ...], dtype: Any) -> Photo:
    white = np.iinfo(dtype).max
    return Photo(np.random.default_rng(0).integers(0, white, shape, dtype=dtype))


@pytest.mark.parametrize("scale", [2, 3, 4, 5])
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 1), (20, 31, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gives_the_exact_size_and_kind(nets: Nets, shape: tuple[int, ...], scale: int, dtype: Any) -> None:
    pixels = noise_photo(shape, dtype).pixels
    result, report = upscale(Photo(pixels, alpha=pixels[..., 0]), scale, RunContext(), CLEAN, nets)
    assert result.pixels.shape == (shape[0] * scale, shape[1] * scale, shape[2])
    assert result.alpha is not None
    assert result.alpha.shape == result.pixels.shape[:2]
    assert result.pixels.dtype == result.alpha.dtype == dtype
    assert "by the network upscale2 0" in report.detail


@pytest.mark.parametrize("scale", [2, 4])
def test_a_damaged_photo_gets_the_network_and_nothing_else(nets: Nets, chelsea: Photo, scale: int) -> None:
    """The network is bicubic interpolation, which OpenCV knows too."""
    small = Photo(chelsea.pixels[60:160, 100:230])
    slight = Controls(1e-6, 100)
    result, _ = upscale(small, scale, RunContext(), slight, nets)
    wanted = cv2.resize(small.pixels, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    if scale == 4:
        wanted = back_project(wanted, 2)
    inside = np.s_[16:-16, 16:-16]
    assert np.abs(result.pixels - wanted)[inside].mean() < 0.6


@pytest.mark.parametrize("scale", [2, 4])
def test_a_clean_photo_shrinks_back_to_itself(nets: Nets, chelsea: Photo, scale: int) -> None:
    small = Photo(chelsea.pixels[60:160, 100:230])
    result, _ = upscale(small, scale, RunContext(), CLEAN, nets)
    back = cv2.resize(result.pixels, (small.width, small.height), interpolation=cv2.INTER_AREA)
    assert np.abs(back.astype(float) - small.pixels).mean() < 0.6


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiles_have_no_seams(nets: Nets, scale: int, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = noise_photo((150, 190, 3), dtype)
    whole, _ = upscale(photo, scale, RunContext(), CLEAN, nets)
    monkeypatch.setattr("relume.builtin.upscale._NET_TILE", 64)
    tiled, _ = upscale(photo, scale, RunContext(), CLEAN, nets)
    step = photo.white / 255
    assert np.abs(tiled.pixels.astype(float) - whole.pixels).max() <= step


def test_the_network_is_told_what_was_measured(nets: Nets) -> None:
    grey = Photo(np.full((40, 40, 3), 100, np.uint8))
    plain, _ = upscale(grey, 2, RunContext(), CLEAN, nets)
    told, _ = upscale(grey, 2, RunContext(), DIRTY, nets)
    wanted = 255 * (NOISE_SHIFT * DIRTY.sigma / 12 + QUALITY_SHIFT * (100 - DIRTY.quality) / 100)
    assert abs(int(plain.pixels[20, 20, 0]) - 100) <= 1
    assert abs(int(told.pixels[20, 20, 0]) - 100 - wanted) <= 1


@pytest.mark.parametrize("controls", [CLEAN, DIRTY])
def test_4_times_is_two_runs_on_a_clean_photo_and_one_on_a_damaged(
    nets: Nets, controls: Controls, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = nets.get("upscale2")
    assert net is not None
    told: list[Controls] = []
    levels = net.levels

    def listen(tile: Any, controls: Controls = CLEAN, **options: bool) -> Any:
        told.append(controls)
        return levels(tile, controls, **options)

    monkeypatch.setattr(net, "levels", listen)
    upscale(Photo(np.full((40, 40, 3), 100, np.uint8)), 4, RunContext(), controls, nets)
    assert told == ([CLEAN, CLEAN] if controls is CLEAN else [DIRTY])


def test_what_lies_under_transparent_pixels_does_not_bleed(nets: Nets) -> None:
    pixels = np.zeros((60, 60, 3), np.uint8)
    pixels[:, :31] = (200, 10, 10)
    alpha = np.where(pixels[..., 0] > 0, 255, 0).astype(np.uint8)
    result, _ = upscale(Photo(pixels, alpha), 3, RunContext(), CLEAN, nets)
    assert result.alpha is not None
    covered = result.alpha > 8
    assert np.abs(result.pixels[covered].astype(int) - (200, 10, 10)).max() <= 4


def test_an_opaque_alpha_changes_no_colour(chelsea: Photo) -> None:
    opaque = np.full(chelsea.pixels.shape[:2], 255, np.uint8)
    assert without_hidden_colours(chelsea.pixels, opaque) is chelsea.pixels


def test_16_bits_do_not_band(nets: Nets) -> None:
    ramp = np.linspace(20_000, 24_000, 200).astype(np.uint16)
    photo = Photo(np.broadcast_to(ramp[:, None, None], (200, 8, 1)).copy())
    result, _ = upscale(photo, 4, RunContext(), CLEAN, nets)
    assert len(np.unique(result.pixels)) > 700


def test_a_photo_without_colour_gets_none(chelsea: Photo) -> None:
    """Even of a network that colours everything red."""
    grey = Photo(np.asarray(np.repeat(chelsea.pixels[:60, :60, 1:2], 3, axis=2), np.uint8))
    assert is_neutral(grey.pixels)
    assert not is_neutral(chelsea.pixels)
    assert not is_neutral(grey.pixels[..., :1])

    def redder(tile: Any) -> Any:
        return tile.astype(np.float32) + np.float32(20) * (np.arange(tile.shape[2]) == 0)

    made = through(grey, redder, RunContext(), "test", overlap=0, tile=64)
    assert is_neutral(made)


def test_sepia_stays_sepia(nets: Nets, sepia: Photo, add_noise: AddNoise) -> None:
    noisy = add_noise(Photo(sepia.pixels[60:220, 100:300]), 8)
    result, (report,) = run_task(Denoise(), noisy, RunContext(), nets)
    assert "by the network clean 0" in report.detail
    assert np.abs(result.pixels.mean((0, 1)) - noisy.pixels.mean((0, 1))).max() < 1


def test_noise_is_removed_by_the_network(nets: Nets, chelsea: Photo, add_noise: AddNoise, psnr: Psnr) -> None:
    truth = Photo(chelsea.pixels[60:220, 100:300])
    noisy = add_noise(truth, 12)
    result, (report,) = run_task(Denoise(), noisy, RunContext(), nets)
    assert "by the network clean 0" in report.detail
    assert psnr(result, truth) > psnr(noisy, truth) + 3


def test_enlarging_cleans_up_first_and_says_so(nets: Nets, chelsea: Photo, add_noise: AddNoise) -> None:
    noisy = add_noise(Photo(chelsea.pixels[60:220, 100:300]), 12)
    result, reports = run_task(Upscale(2), noisy, RunContext(), nets)
    assert [report.name for report in reports] == ["denoise", "upscale"]
    assert (result.width, result.height) == (400, 320)
    cleaned, _ = run_task(Denoise(), noisy, RunContext(), nets)
    assert np.array_equal(upscale(cleaned, 2, RunContext(), CLEAN, nets)[0].pixels, result.pixels)


def test_a_clean_photo_comes_back_untouched(nets: Nets, chelsea: Photo) -> None:
    result, reports = restore(chelsea, RunContext(), nets=nets)
    assert result.pixels is chelsea.pixels
    assert not any(report.changed for report in reports)


def test_progress_goes_up_and_a_cancel_stops_at_the_next_tile(
    nets: Nets, chelsea: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relume.builtin.upscale._NET_TILE", 128)
    cancelled, told = threading.Event(), []

    def note(fraction: float, step: str) -> None:
        told.append(fraction)
        if step == "upscale" and len(told) > 4:
            cancelled.set()

    with pytest.raises(JobCancelled):
        run_task(Upscale(2), chelsea, RunContext(on_progress=note, cancelled=cancelled), nets)
    assert told == sorted(told)
    assert len(told) == 5


def test_threads_share_a_network(nets: Nets) -> None:
    net = nets.get("upscale2")
    assert net is not None
    tiles = [np.full((24, 24, 3), level, np.uint8) for level in range(20, 200, 20)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(net.levels, tiles))
    for tile, levels in zip(tiles, made, strict=True):
        assert np.abs(levels[12:36, 12:36] - float(tile[0, 0, 0])).max() < 1.5


def test_half_precision_costs_little(chelsea: Photo, nets: Nets, psnr: Psnr) -> None:
    """Where the processor has no bfloat16, both are the same."""
    exact = Nets(nets.table, quality="best", precision="f32", threads=1)
    fast, plain = (upscale(chelsea, 2, RunContext(), CLEAN, these)[0] for these in (nets, exact))
    assert np.array_equal(fast.pixels, plain.pixels) or psnr(fast, plain) > 45


@pytest.mark.parametrize(
    ("quality", "megapixels", "name"),
    [
        ("best", 1000, "upscale2"),
        ("fast", 0.1, "upscale2-fast"),
        ("auto", 0.1, "upscale2"),
        ("auto", AUTO_MEGAPIXELS + 1, "upscale2-fast"),
    ],
)
def test_quality_picks_the_size(tmp_path: Path, quality: Any, megapixels: float, name: str) -> None:
    net = all_nets(tmp_path, quality).pick("upscale2", megapixels)
    assert net is not None
    assert net.card.name == name


def test_auto_is_fast_where_the_best_is_measured_to_be_slow(tmp_path: Path) -> None:
    nets = all_nets(tmp_path)
    best = nets.get("upscale2")
    assert best is not None
    best.seconds_per_megapixel = 15.0
    chosen = [nets.pick("upscale2", megapixels) for megapixels in (1, 2)]
    assert [net.card.name for net in chosen if net] == ["upscale2", "upscale2-fast"]


def test_what_has_no_sister_is_taken_whatever_the_quality(tmp_path: Path) -> None:
    for quality in ("auto", "best", "fast"):
        net = all_nets(tmp_path, quality).pick("clean", 1000)
        assert net is not None
        assert net.card.name == "clean"


@pytest.mark.parametrize(
    ("sigma", "quality", "told"),
    [(6, 40, Controls(6, 40)), (0.5, 95, CLEAN), (1, 60, Controls(1, 60)), (5, 100, Controls(5, 100))],
)
def test_the_estimator_is_asked_where_there_is_one(
    tmp_path: Path, chelsea: Photo, sigma: float, quality: float, told: Controls
) -> None:
    nets = Nets(write(tmp_path, degradation=estimator(sigma, quality)), threads=1)
    assert Damage(chelsea, nets).degradation.controls == pytest.approx(told, abs=1e-3)
    small = Photo(chelsea.pixels[:40, :40])
    assert Damage(small, nets).degradation.controls == CLEAN


def test_what_is_hardly_damage_is_told_to_be_none() -> None:
    assert Degradation(2.0, 92.0).controls == CLEAN
    assert Degradation(2.0, 60.0).controls == Controls(2.0, 60.0)
    assert Degradation(9.0, 10.0).controls == Controls(9.0, 25.0)  # Worse than the networks have seen.


def test_what_an_estimator_is_unsure_of_is_clean(chelsea: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    unsure = Estimate(6.0, 5.0, 50.0, 45.0, 0.0, 0.0)
    monkeypatch.setattr("relume.builtin.degradation.estimate", lambda _photo, _net: unsure)
    nets = Nets(NO_NETS.table)
    monkeypatch.setattr(nets, "get", lambda name: name)
    assert Damage(chelsea, nets).degradation.controls == CLEAN


def test_a_clean_photo_is_told_to_be_clean_without_an_estimator(clean: Photo) -> None:
    assert Damage(clean).degradation.controls == CLEAN


@pytest.mark.parametrize(
    ("found", "measured", "told"),
    [
        (Estimate(8.0, 2.0, 100, 1, 0, 0), 9.5, 9.5),  # both agree
        (Estimate(4.0, 1.5, 100, 1, 0, 0), 9.7, 8.5),  # noise on texture: the estimate reads low
        (Estimate(0.5, 0.5, 100, 1, 0, 0), 5.7, 0.0),  # texture that passes for noise
        (Estimate(4.5, 5.3, 98, 4, 0, 0), 8.8, 0.0),  # nobody knows
        (Estimate(5.0, 1.0, 42, 2, 0, 0), 1.2, 4.0),  # compression hides noise from the measure
    ],
)
def test_measured_noise_counts_within_the_estimate(found: Estimate, measured: float, told: float) -> None:
    noise = Noise(measured, np.zeros((3, 64), np.float32), 1.0)
    assert combined(found, noise).sigma == pytest.approx(told)


def test_noise_and_blocks_are_told_without_an_estimator(chelsea: Photo, add_noise: AddNoise) -> None:
    noisy = Damage(add_noise(chelsea, 8)).degradation.controls
    assert noisy.sigma == pytest.approx(8, abs=1)
    _, file = cv2.imencode(".jpg", chelsea.pixels, [cv2.IMWRITE_JPEG_QUALITY, 30])
    blocky = Photo(np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8))
    assert 30 <= Damage(blocky).degradation.controls.quality < 85


def test_without_openvino_the_classical_steps_work(
    tmp_path: Path, chelsea: Photo, add_noise: AddNoise, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ImportError("No module named 'openvino'")

    monkeypatch.setattr("relume.builtin.net.openvino", missing)
    nets = all_nets(tmp_path)
    noisy = add_noise(Photo(chelsea.pixels[:160, :200]), 10)
    result, reports = restore(noisy, RunContext(), 2, nets)
    classical, _ = restore(noisy, RunContext(), 2)
    assert np.array_equal(result.pixels, classical.pixels)
    told = {report.name: report.detail for report in reports}
    for step in ("denoise", "upscale"):
        assert told[step].endswith("OpenVINO is not installed: this was done without a network.")
    assert nets.problem == "OpenVINO is not installed"


@pytest.mark.parametrize("content", [b"", b"no network"])
def test_a_damaged_file_is_not_used(tmp_path: Path, chelsea: Photo, content: bytes) -> None:
    nets = all_nets(tmp_path)
    (tmp_path / "upscale2.onnx").write_bytes(content)
    (tmp_path / "upscale2-fast.onnx").write_bytes(content)
    _, report = upscale(chelsea, 2, RunContext(), CLEAN, nets)
    assert "The network upscale2 is damaged: this was done without a network." in report.detail
    assert nets.get("clean") is not None


def test_a_file_that_openvino_cannot_read_is_not_used(tmp_path: Path) -> None:
    table = write(tmp_path, clean=cleaner())
    content = b"not ONNX at all"
    card = table.cards["clean"]
    (tmp_path / card.file).write_bytes(content)
    entry = asdict(replace(card, sha256=hashlib.sha256(content).hexdigest()))
    (tmp_path / "models.json").write_text(json.dumps({"models": [entry]}), encoding="utf-8")
    nets = Nets(NetTable(tmp_path))
    assert nets.get("clean") is None
    assert nets.problem == "OpenVINO cannot load the network clean here"


def test_nothing_is_loaded_before_it_is_needed(tmp_path: Path) -> None:
    nets = Nets(write(tmp_path, upscale2=upscaler()))
    (tmp_path / "upscale2.onnx").unlink()
    assert nets.problem is None
    assert nets.fingerprint.startswith("auto auto with ")
    assert nets.get("unheard-of") is None
    assert NO_NETS.table.cards == {}


def test_the_service_loads_neither_openvino_nor_torch() -> None:
    code = (
        "import sys, relume.http.server\n"
        "from relume.providers.catalog import Catalog\n"
        "from relume.settings import Settings\n"
        "Catalog(Settings(weights_dir='nowhere')).fingerprint\n"
        "print([name for name in ('torch', 'openvino') if name in sys.modules])"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"
