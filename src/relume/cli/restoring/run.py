"""Photo after photo through the pipeline. One at a time: the steps use every core by themselves."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, Self

import anyio
from rich.console import Console

from relume import __version__
from relume.cli.home import log_faults
from relume.cli.restoring.display import Display, make_display
from relume.cli.restoring.folder import FolderUnusableError, OutputFolder
from relume.cli.restoring.manifest import Entry
from relume.cli.restoring.plan import Plan, Source, make_plan
from relume.cli.restoring.report import Outcome, PhotoReport, Summary, print_summary
from relume.errors import ImageTooLarge, JobCancelled, RelumeError
from relume.imaging.limits import WIDE
from relume.pipeline import Pipeline, Restored
from relume.ports import RunContext
from relume.recipes import Recipe
from relume.settings import Settings
from relume.wiring.providers import build_pipeline

USAGE_ERROR = 2
STDERR = 2


def restore_all(
    settings: Settings, recipe: Recipe, inputs: Sequence[tuple[Path, str]], output: Path, *, as_json: bool
) -> int:
    """Restore what was named into the output folder, and say what came of it. Returns the exit code."""
    progress = Console(stderr=True)
    pipeline = build_pipeline(settings)
    try:
        with OutputFolder(output) as folder, StopSignal() as stop:
            plan = make_plan(inputs, output)
            with make_display(len(plan.sources), progress) as display:
                log_faults(settings)  # Only now: in a terminal, the display moves lines above its bars.
                summary = Work(pipeline, recipe, folder, display, stop).through(plan)
    except FolderUnusableError as error:
        progress.print(f"relume: {error}", markup=False, highlight=False, soft_wrap=True)
        return USAGE_ERROR
    if as_json:
        print(json.dumps(summary.as_dict(), indent=2))
    else:
        print_summary(summary, Console())
    return summary.exit_code


class StopSignal:
    """Turns Ctrl-C (and SIGTERM) into a request to stop. A second one ends the program at once."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *_exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self.requested.set()
        signal.signal(number, signal.SIG_DFL)
        os.write(STDERR, b"\nStopping after the present step ...\n")  # print is not safe here.


class Work:
    """One run: everything that stays the same from photo to photo."""

    def __init__(
        self, pipeline: Pipeline, recipe: Recipe, folder: OutputFolder, display: Display, stop: StopSignal
    ) -> None:
        self._pipeline, self._recipe = pipeline, recipe
        self._folder, self._display, self._stop = folder, display, stop
        self._options = {"model": recipe.model_id, "strength": recipe.strength, "scale": recipe.scale}

    def through(self, plan: Plan) -> Summary:
        """Work through a plan. Stops early when asked to, or when nothing can be written any more."""
        summary = Summary(self._folder.path, self._options, not_photos=plan.not_photos)
        for shown, reason in plan.problems:
            summary.photos.append(PhotoReport(shown, Outcome.FAILED, reason=reason))
            self._display.tell(f"{shown}: {reason}")
        anyio.run(self._all, plan.sources, summary)
        summary.interrupted = self._stop.requested.is_set()
        summary.not_started = len(plan.sources) + len(plan.problems) - len(summary.photos)
        return summary

    async def _all(self, sources: Sequence[Source], summary: Summary) -> None:
        try:
            await self._each(sources, summary)
        finally:
            await self._pipeline.close()

    async def _each(self, sources: Sequence[Source], summary: Summary) -> None:
        for source in sources:
            if self._stop.requested.is_set():
                return
            self._display.start(source.shown)
            try:
                report = await self._one(source)
            except JobCancelled:
                return
            except FolderUnusableError as error:
                summary.stopped = str(error)
                return
            summary.photos.append(report)
            self._display.finish(report)

    async def _one(self, source: Source) -> PhotoReport:
        """One photo, whatever is wrong with it. Raises JobCancelled and FolderUnusableError."""
        try:
            return await self._restore(source)
        except (JobCancelled, FolderUnusableError):
            raise
        except RelumeError as error:
            reason = error.detail
        except OSError as error:
            reason = f"{error.strerror or type(error).__name__}."
        except MemoryError:
            reason = "It needs more memory than there is."
        except Exception as error:  # noqa: BLE001 (one bad photo must not stop the others)
            reason = f"Something in Relume broke ({type(error).__name__}: {error})."
        return PhotoReport(source.shown, Outcome.FAILED, reason=reason)

    async def _restore(self, source: Source) -> PhotoReport:
        started = time.perf_counter()
        data = read_photo(source.path)
        sha256 = hashlib.sha256(data).hexdigest()
        if earlier := self._folder.earlier(source, sha256, self._options):
            return self._report(source, Outcome.SKIPPED, earlier)
        context = RunContext(on_progress=self._display.step, cancelled=self._stop.requested)
        restored = await self._pipeline.run(data, self._recipe, WIDE, context)
        entry = self._entry(source, sha256, restored, time.perf_counter() - started)
        self._folder.publish(entry, restored.data)
        return self._report(source, Outcome(restored.outcome), entry)

    def _entry(self, source: Source, sha256: str, restored: Restored, seconds: float) -> Entry:
        return Entry(
            input=str(source.path),
            place=str(source.place),
            input_sha256=sha256,
            options=self._options,
            relume=__version__,
            output=str(self._folder.free_output(source.place, restored.format.extension)),
            output_sha256=hashlib.sha256(restored.data).hexdigest(),
            outcome=restored.outcome,
            fidelity=round(restored.fidelity or 0.0, 4),
            seconds=round(seconds, 2),
            steps=[asdict(step) for report in restored.reports for step in report.steps],
        )

    def _report(self, source: Source, outcome: Outcome, entry: Entry) -> PhotoReport:
        return PhotoReport(
            input=source.shown,
            outcome=outcome,
            output=str(self._folder.path / entry.output),
            fidelity=entry.fidelity,
            seconds=entry.seconds,
            steps=entry.steps,
        )


def read_photo(path: Path) -> bytes:
    """Raises OSError, and ImageTooLarge before reading what no photo can be."""
    if path.stat().st_size > WIDE.max_bytes:
        raise ImageTooLarge(f"The file is larger than {WIDE.max_bytes // 10**6} MB.")
    return path.read_bytes()
