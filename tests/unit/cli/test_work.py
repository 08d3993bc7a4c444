"""Photo after photo: one bad file stops nothing, and a repeated run goes on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from relume.cli.restoring.display import Bars, Display, Lines
from relume.cli.restoring.folder import FolderUnusableError, OutputFolder
from relume.cli.restoring.plan import make_plan
from relume.cli.restoring.report import Outcome, Summary
from relume.cli.restoring.run import StopSignal, Work, restore_all
from relume.imaging.photo import Photo
from relume.pipeline import Pipeline
from relume.ports import Result, RunContext, StepReport
from relume.providers.catalog import Catalog
from relume.recipes import build
from relume.settings import load_settings
from relume.tasks import Task

RECIPE = build("restoration/builtin-1", strength=1.0)


class Inverter:
    """A provider whose work shows. `before` runs first, with the number of the call."""

    name = "inverter"
    is_local = True
    needs_device = False
    calls = 0

    def before(self, call: int) -> None:
        del call

    def supports(self, task: Task) -> bool:
        return True

    def unavailable(self) -> str | None:
        return None

    def estimate_usd(self, task: Task) -> float:
        return 0.0

    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        assert photo is not None
        self.calls += 1
        self.before(self.calls)
        context.progress(0.5, "invert")
        step = StepReport("invert", changed=True, detail="Inverted.", confidence=1.0)
        return Result(photo.with_pixels(photo.white - photo.pixels), "inverter", "none", "1", (step,))


@pytest.fixture
def provider() -> Inverter:
    return Inverter()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for level, name in enumerate(("a.png", "b.png", "c.png")):
        cv2.imwrite(str(folder / name), np.full((24, 32, 3), 50 * level, np.uint8))
    return folder


@pytest.fixture
def stop() -> Iterator[StopSignal]:
    with StopSignal() as stop:
        yield stop


def run(
    photos: Path, provider: Inverter, *, stop: StopSignal | None = None, display: Display | None = None
) -> Summary:
    output = photos.parent / "out"
    with OutputFolder(output) as folder:
        plan = make_plan([(photos, "photos")], output)
        shown = display or Lines(len(plan.sources), Console(quiet=True))
        with shown:
            return Work(
                Pipeline(lambda _recipe: provider), RECIPE, folder, shown, stop or StopSignal()
            ).through(plan)


def outcomes(summary: Summary) -> list[str]:
    return [photo.outcome.value for photo in summary.photos]


def test_every_photo_is_restored_and_no_original_touched(photos: Path, provider: Inverter) -> None:
    before = {path: path.read_bytes() for path in photos.iterdir()}
    summary = run(photos, provider)
    assert outcomes(summary) == ["restored"] * 3
    assert {path: path.read_bytes() for path in photos.iterdir()} == before
    result = cv2.imread(str(photos.parent / "out" / "b-restored.png"))
    assert result is not None
    assert result.shape == (24, 32, 3)


@pytest.mark.parametrize("breaks", [False, True])
def test_the_providers_connections_are_closed_at_the_end(
    photos: Path, monkeypatch: pytest.MonkeyPatch, breaks: bool
) -> None:
    closed: list[list[str]] = []

    async def close(_catalog: Catalog) -> None:
        closed.append(sorted(path.name for path in (photos.parent / "out").iterdir()))

    async def broken(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Catalog, "close", close)
    if breaks:
        monkeypatch.setattr(Work, "_one", broken)
    settings = load_settings(provider="builtin")
    with pytest.raises(KeyboardInterrupt) if breaks else nullcontext():
        restore_all(settings, RECIPE, [(photos, "photos")], photos.parent / "out", as_json=True)
    assert len(closed) == 1
    assert breaks or "c-restored.png" in closed[0]


def test_a_second_run_does_nothing_and_a_third_only_what_is_new(photos: Path, provider: Inverter) -> None:
    run(photos, provider)
    calls = provider.calls
    assert outcomes(run(photos, provider)) == ["skipped"] * 3
    assert provider.calls == calls
    cv2.imwrite(str(photos / "d.png"), np.full((24, 32, 3), 200, np.uint8))
    assert outcomes(run(photos, provider)) == ["skipped"] * 3 + ["restored"]


def test_bad_photos_and_broken_steps_stop_nothing(photos: Path, provider: Inverter) -> None:
    (photos / "a.png").write_bytes((photos / "b.png").read_bytes()[:60])
    (photos / "empty.jpg").write_bytes(b"")

    def break_once(call: int) -> None:
        if call == 1:
            raise ZeroDivisionError("of all things")

    provider.before = break_once  # type: ignore[method-assign]
    summary = run(photos, provider)
    assert outcomes(summary) == ["failed", "failed", "restored", "failed"]
    assert "ZeroDivisionError: of all things" in (summary.photos[1].reason or "")
    assert all(photo.reason for photo in summary.photos if photo.outcome is Outcome.FAILED)


def test_running_out_of_memory_stops_only_that_photo(photos: Path, provider: Inverter) -> None:
    def exhausted(call: int) -> None:
        if call == 1:
            raise MemoryError

    provider.before = exhausted  # type: ignore[method-assign]
    summary = run(photos, provider)
    assert summary.photos[0].reason == "It needs more memory than there is."
    assert outcomes(summary)[1:] == ["restored", "restored"]


def test_an_interrupt_stops_in_the_middle_of_a_photo(
    photos: Path, provider: Inverter, stop: StopSignal, capfd: pytest.CaptureFixture[str]
) -> None:
    per_photo = len(RECIPE.tasks)

    def interrupt(call: int) -> None:
        if call == per_photo + 1:
            signal.raise_signal(signal.SIGINT)

    provider.before = interrupt  # type: ignore[method-assign]
    summary = run(photos, provider, stop=stop)
    assert outcomes(summary) == ["restored"]
    assert summary.interrupted
    assert summary.not_started == 2
    assert "Stopping after the present step" in capfd.readouterr().err
    provider.before = lambda call: None  # type: ignore[method-assign]
    assert outcomes(run(photos, provider)) == ["skipped", "restored", "restored"]


def test_signals_get_their_handlers_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopSignal():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_a_folder_that_cannot_be_written_any_more_ends_the_run(
    photos: Path, provider: Inverter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise FolderUnusableError("The disk is full.")

    monkeypatch.setattr(OutputFolder, "publish", full)
    summary = run(photos, provider)
    assert summary.stopped == "The disk is full."
    assert summary.not_started == 3


def test_the_bars_show_the_photo_and_the_step(photos: Path, provider: Inverter) -> None:
    (photos / "[red]broken.jpg").write_bytes(b"no photo")
    console = Console(
        record=True, force_terminal=True, width=100, quiet=False, file=(photos.parent / "tty").open("w")
    )
    display = Bars(4, console)
    run(photos, provider, display=display)
    console.file.close()
    shown = (photos.parent / "tty").read_text()
    assert "broken.jpg: failed: The file is text, not a photo." in shown
    assert "4 of 4 photos" in shown
