"""Photo after photo: restored, measured, pictured. Then the report."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
from PIL import Image
from rich.console import Console

from relume.cli.evaluating import sheet
from relume.cli.evaluating.figures import SMALLEST_SIDE, likeness, looks
from relume.cli.evaluating.folder import ReportFolder
from relume.cli.evaluating.page import html_page
from relume.cli.evaluating.report import Evaluation, PhotoFigures, print_report, wide_console
from relume.cli.evaluating.truth import TruthPictures, is_possible, run_truth_test
from relume.cli.home import log_faults
from relume.cli.restoring.folder import FolderUnusableError
from relume.cli.restoring.plan import Source, make_plan
from relume.cli.restoring.run import StopSignal, read_photo
from relume.errors import JobCancelled, RelumeError
from relume.imaging.decode import decode
from relume.imaging.limits import WIDE
from relume.imaging.photo import Photo
from relume.imaging.resize import resize
from relume.jobs.filenames import unique_name
from relume.pipeline import Pipeline, Restored
from relume.ports import RunContext
from relume.providers.catalog import Catalog
from relume.recipes import Recipe
from relume.settings import Settings

SUCCESS, SOME_FAILED, USAGE_ERROR, INTERRUPTED = 0, 1, 2, 130
_PICTURE_SIDE, _THUMBNAIL_SIDE, _SHEET_ROWS = 640, 360, 20


def evaluate_all(
    settings: Settings,
    recipe: Recipe,
    inputs: Sequence[tuple[Path, str]],
    output: Path,
    *,
    allow_paid: bool,
    as_json: bool,
) -> int:
    """Evaluate what was named, write the report, and print it. Returns the exit code."""
    told = Console(stderr=True)
    catalog = Catalog(settings)
    estimate_usd = catalog.estimate_usd(recipe)
    if estimate_usd and not allow_paid:
        _say(
            told,
            f"relume: this would cost about ${2 * estimate_usd:.4f} a photo at {catalog.served_by(recipe)[0]}. "
            "Allow it with --allow-paid, or set PROVIDER=builtin.",
        )
        return USAGE_ERROR
    plan = make_plan(inputs, output)
    if not plan.sources and not plan.problems:
        _say(told, "relume: no photos were found. Put some into the folder, or name them.")
        return SOME_FAILED
    try:
        folder = ReportFolder(output)
    except FolderUnusableError as error:
        _say(told, f"relume: {error}")
        return USAGE_ERROR
    log_faults(settings)
    evaluation = Evaluation(recipe)
    evaluation.photos += [PhotoFigures(shown, error=reason) for shown, reason in plan.problems]
    with StopSignal() as stop:
        work = _Work(Pipeline(catalog.chain), folder, evaluation, stop, told)
        anyio.run(work.through, plan.sources)
    work.finish()
    if as_json:
        print(json.dumps(evaluation.as_dict(), indent=2))
    else:
        print_report(evaluation, wide_console())
        _say(Console(), f"The report is {output / 'report.html'}.")
    if evaluation.interrupted:
        return INTERRUPTED
    return SOME_FAILED if any(photo.error for photo in evaluation.photos) else SUCCESS


def _say(console: Console, sentence: str) -> None:
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)


class _Work:
    def __init__(
        self,
        pipeline: Pipeline,
        folder: ReportFolder,
        evaluation: Evaluation,
        stop: StopSignal,
        told: Console,
    ) -> None:
        self._pipeline, self._folder, self._evaluation = pipeline, folder, evaluation
        self._stop, self._told = stop, told
        self._thumbnails: dict[str, Image.Image] = {}
        self._taken: set[str] = set()

    async def through(self, sources: Sequence[Source]) -> None:
        for number, source in enumerate(sources, 1):
            if self._stop.requested.is_set():
                break
            figures = PhotoFigures(source.shown)
            try:
                await self._one(source, figures)
            except JobCancelled:
                break
            except RelumeError as error:
                figures.error = error.detail
            except OSError as error:
                figures.error = f"{error.strerror or type(error).__name__}."
            except MemoryError:
                figures.error = "It needs more memory than there is."
            self._evaluation.photos.append(figures)
            _say(self._told, f"[{number}/{len(sources)}] {source.shown}: {figures.error or figures.outcome}")
        self._evaluation.interrupted = self._stop.requested.is_set()

    async def _one(self, source: Source, figures: PhotoFigures) -> None:
        data = read_photo(source.path)
        original = decode(data, WIDE)
        recipe = self._evaluation.recipe
        started = time.perf_counter()
        made = await self._pipeline.run(data, recipe, WIDE, self._context())
        result = decode(made.data, WIDE)
        _fill(figures, original, made, result)
        figures.seconds = round(time.perf_counter() - started, 3)
        pictures = None
        if is_possible(original, recipe.scale):
            figures.truth, pictures = await run_truth_test(self._pipeline, recipe, original, self._context())
        else:
            figures.truth_skipped = f"too small to be reduced: less than {SMALLEST_SIDE} pixels would be left"
        self._picture(source, figures, original, made, result, pictures)

    def _context(self) -> RunContext:
        return RunContext(cancelled=self._stop.requested)

    def _picture(
        self,
        source: Source,
        figures: PhotoFigures,
        original: Photo,
        made: Restored,
        result: Photo,
        known: TruthPictures | None,
    ) -> None:
        enlarged = resize(original, result.width, result.height)
        pair = (("original, by Lanczos", enlarged), ("restored", result))
        rows = [sheet.strip(pair, _PICTURE_SIDE)]
        if known:
            cells = (
                ("truth", known.truth),
                ("reduced, Lanczos", known.lanczos),
                ("reduced, restored", known.restored),
            )
            rows.append(sheet.strip(cells, _PICTURE_SIDE))
        stem = f"{len(self._evaluation.photos) + 1:03d}-{source.path.stem}"
        figures.result = self._write(f"{stem}-restored.x", made.format.extension, made.data)
        figures.picture = self._write(f"{stem}-side-by-side.x", "jpg", sheet.jpeg(sheet.stacked(rows)))
        number = f"{len(self._evaluation.photos) + 1}: original"
        self._thumbnails[source.shown] = sheet.strip(
            ((number, enlarged), ("restored", result)), _THUMBNAIL_SIDE
        )

    def _write(self, shown: str, extension: str, data: bytes) -> str:
        name = unique_name(shown, extension, self._taken)
        self._taken.add(name.lower())
        self._folder.write(name, data)
        return name

    def finish(self) -> None:
        """The contact sheets, and the report in three forms."""
        thumbnails = list(self._thumbnails.values())
        for page, start in enumerate(range(0, len(thumbnails), _SHEET_ROWS), 1):
            rows = thumbnails[start : start + _SHEET_ROWS]
            self._folder.write(f"contact-sheet-{page}.jpg", sheet.jpeg(sheet.stacked(rows)))
        small = {name: sheet.jpeg(image) for name, image in self._thumbnails.items()}
        self._folder.write("report.html", html_page(self._evaluation, small).encode())
        self._folder.write("report.csv", self._evaluation.as_csv())
        self._folder.write("report.json", json.dumps(self._evaluation.as_dict(), indent=2).encode())


def _fill(figures: PhotoFigures, original: Photo, made: Restored, result: Photo) -> None:
    figures.outcome, figures.fidelity = made.outcome, made.fidelity
    figures.providers = list(dict.fromkeys(report.provider for report in made.reports))
    figures.models = list(dict.fromkeys(report.model for report in made.reports))
    figures.width, figures.height = original.width, original.height
    figures.result_width, figures.result_height = result.width, result.height
    figures.cost_usd = round(sum(report.cost_usd for report in made.reports), 6)
    if min(original.width, original.height) >= SMALLEST_SIDE:
        figures.to_input = likeness(original, result)
    figures.before, figures.after = looks(original), looks(result)
