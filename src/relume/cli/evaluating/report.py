"""What was found: for each photo, and on the whole; as tables for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from relume import __version__
from relume.cli.evaluating.figures import Likeness, Looks
from relume.cli.evaluating.truth import METHOD, TruthTest
from relume.recipes import Recipe

_FILE_WIDTH = 140
REFERENCES = (
    "PSNR and SSIM to the input compare the result, brought back to the input's size, with the input: they say how "
    "little was changed, not how good it looks. The test with a known truth says how much was won."
)


@dataclass(slots=True)
class PhotoFigures:
    """What was found for one photo."""

    input: str
    error: str | None = None
    """Why there are no figures."""
    outcome: str | None = None
    providers: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    width: int = 0
    height: int = 0
    result_width: int = 0
    result_height: int = 0
    seconds: float = 0.0
    cost_usd: float = 0.0
    fidelity: float | None = None
    to_input: Likeness | None = None
    before: Looks | None = None
    after: Looks | None = None
    truth: TruthTest | None = None
    truth_skipped: str | None = None
    result: str | None = None
    """The result's file in the output folder."""
    picture: str | None = None


@dataclass(slots=True)
class Evaluation:
    recipe: Recipe
    photos: list[PhotoFigures] = field(default_factory=list)
    interrupted: bool = False

    @property
    def measured(self) -> list[PhotoFigures]:
        return [photo for photo in self.photos if photo.error is None]

    def means(self) -> dict[str, float | None]:
        """Over the photos that have the figure. A PSNR of equal photos is in none."""
        tests = [photo.truth for photo in self.measured if photo.truth]
        near = [photo.to_input for photo in self.measured if photo.to_input]
        return {
            "seconds": _mean(photo.seconds for photo in self.measured),
            "fidelity": _mean(photo.fidelity for photo in self.measured),
            "psnr_db_to_input": _mean(figure.psnr_db for figure in near),
            "ssim_to_input": _mean(figure.ssim for figure in near),
            "truth_psnr_db": _mean(test.restored.psnr_db for test in tests),
            "truth_psnr_db_lanczos": _mean(test.lanczos.psnr_db for test in tests),
            "truth_ssim": _mean(test.restored.ssim for test in tests),
            "truth_ssim_lanczos": _mean(test.lanczos.ssim for test in tests),
        }

    def as_dict(self) -> dict[str, Any]:
        return {
            "relume": __version__,
            "model": self.recipe.model_id,
            "scale": self.recipe.scale,
            "strength": self.recipe.strength,
            "interrupted": self.interrupted,
            "method": f"{REFERENCES} {METHOD}",
            "means": self.means(),
            "photos": [asdict(photo) for photo in self.photos],
        }

    def as_csv(self) -> bytes:
        """One line a photo, nested figures by dotted names. With a byte order mark, for Excel."""
        rows = [_flat(asdict(photo)) for photo in self.photos]
        names = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().encode("utf-8-sig")


def wide_console() -> Console:
    """For stdout. Where it is no terminal nobody has told its width, and figures must not be broken."""
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


def print_report(evaluation: Evaluation, console: Console) -> None:
    """The photos, the known truths beside Lanczos, and every failure."""
    if evaluation.measured:
        console.print(_photos(evaluation))
    if any(photo.truth for photo in evaluation.measured):
        console.print(_truths(evaluation))
    for photo in evaluation.photos:
        if photo.error:
            console.print(f"{photo.input}: {photo.error}", markup=False, highlight=False, soft_wrap=True)


def _photos(evaluation: Evaluation) -> Table:
    table = Table(
        "photo", "by", title="The photos as they are", box=None, pad_edge=False, title_justify="left"
    )
    for name in ("size", "s", "fidelity", "PSNR dB", "SSIM", "noise", "blur px"):
        table.add_column(name, justify="right", no_wrap=True)
    for photo in evaluation.measured:
        near, before, after = photo.to_input, photo.before, photo.after
        table.add_row(
            photo.input,
            " + ".join(photo.providers) + ("" if photo.outcome == "restored" else f" ({photo.outcome})"),
            f"{photo.result_width}x{photo.result_height}",
            f"{photo.seconds:.1f}",
            _number(photo.fidelity, 3),
            "" if near is None else _number(near.psnr_db, 1, "equal"),
            "" if near is None else _number(near.ssim, 3),
            "" if before is None or after is None else f"{before.noise_sigma:.1f} > {after.noise_sigma:.1f}",
            "" if before is None or after is None else f"{before.blur_sigma:.1f} > {after.blur_sigma:.1f}",
        )
    return table


def _truths(evaluation: Evaluation) -> Table:
    title = "Reduced, compressed, restored: against the truth"
    table = Table("photo", title=title, box=None, pad_edge=False, title_justify="left")
    for name in ("PSNR dB", "Lanczos", "won", "SSIM", "Lanczos", "won"):
        table.add_column(name, justify="right", no_wrap=True)
    for photo in evaluation.measured:
        if photo.truth:
            table.add_row(photo.input, *_against(photo.truth.restored, photo.truth.lanczos))
        else:
            table.add_row(photo.input, photo.truth_skipped or "")
    means = evaluation.means()
    table.add_row(
        "mean",
        *_pair(means["truth_psnr_db"], means["truth_psnr_db_lanczos"], 2),
        *_pair(means["truth_ssim"], means["truth_ssim_lanczos"], 4),
        style="bold",
    )
    return table


def _against(restored: Likeness, lanczos: Likeness) -> Sequence[str]:
    return (*_pair(restored.psnr_db, lanczos.psnr_db, 2), *_pair(restored.ssim, lanczos.ssim, 4))


def _pair(ours: float | None, theirs: float | None, digits: int) -> tuple[str, str, str]:
    won = "" if ours is None or theirs is None else f"{ours - theirs:+.{digits}f}"
    return _number(ours, digits, "equal"), _number(theirs, digits, "equal"), won


def _number(value: float | None, digits: int, none: str = "") -> str:
    return none if value is None else f"{value:.{digits}f}"


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known), 4) if known else None


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = " + ".join(value) if isinstance(value, list) else value
    return flat
