"""The report as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape

from relume import __version__
from relume.cli.evaluating.report import REFERENCES, Evaluation, PhotoFigures
from relume.cli.evaluating.truth import METHOD

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .2rem .8rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } tr { border-bottom: 1px solid #ddd; }
img { max-width: 100%; height: auto; } .fault { color: #a00; } .won { color: #060; } .lost { color: #a00; }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd; } tr { border-color: #444; }
.fault, .lost { color: #f88; } .won { color: #8d8; } }
"""


def html_page(evaluation: Evaluation, pictures: Mapping[str, bytes]) -> str:
    """`pictures` holds a JPEG for each photo, by the photo's name as it was shown."""
    recipe = evaluation.recipe
    words = f"{recipe.model_id}, scale {recipe.scale}, strength {recipe.strength:g}, Relume {__version__}"
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Relume: evaluation</title>',
        '<meta name="viewport" content="width=device-width">',
        f"<style>{_STYLE}</style><h1>Evaluation</h1><p>{escape(words)}</p>",
        _means(evaluation),
        *(_photo(photo, pictures.get(photo.input)) for photo in evaluation.photos),
        f"<h2>How it was measured</h2><p>{escape(REFERENCES)}</p><p>{escape(METHOD)}</p></html>",
    ]
    return "\n".join(parts)


def _means(evaluation: Evaluation) -> str:
    means = evaluation.means()
    truth = _truth_rows(
        means["truth_psnr_db"],
        means["truth_psnr_db_lanczos"],
        means["truth_ssim"],
        means["truth_ssim_lanczos"],
    )
    count = f"{len(evaluation.measured)} of {len(evaluation.photos)} photos were measured."
    stopped = " The run was stopped before the end." if evaluation.interrupted else ""
    return f"<h2>Means</h2><p>{count}{stopped}</p>{truth}"


def _photo(photo: PhotoFigures, picture: bytes | None) -> str:
    head = f"<h2>{escape(photo.input)}</h2>"
    if photo.error:
        return f'{head}<p class="fault">{escape(photo.error)}</p>'
    facts = [
        f"{photo.width}x{photo.height} to {photo.result_width}x{photo.result_height}",
        f"{photo.outcome} by {', '.join(photo.models)} ({', '.join(photo.providers)})",
        f"{photo.seconds:.1f} s, ${photo.cost_usd:.4f}",
        f"fidelity {_number(photo.fidelity, 3)}",
    ]
    if photo.to_input:
        near = photo.to_input
        facts.append(f"to the input: PSNR {_number(near.psnr_db, 1)} dB, SSIM {near.ssim:.3f}")
    if photo.before and photo.after:
        facts.append(f"noise {photo.before.noise_sigma:g} to {photo.after.noise_sigma:g} of 255 levels")
        facts.append(f"blur {photo.before.blur_sigma:g} to {photo.after.blur_sigma:g} px")
    image = f'<img alt="side by side" src="data:image/jpeg;base64,{_base64(picture)}">' if picture else ""
    return f"{head}<p>{escape('; '.join(facts))}</p>{_truth(photo)}{image}"


def _truth(photo: PhotoFigures) -> str:
    if photo.truth is None:
        return f"<p>{escape(photo.truth_skipped or '')}</p>"
    ours, theirs = photo.truth.restored, photo.truth.lanczos
    return _truth_rows(ours.psnr_db, theirs.psnr_db, ours.ssim, theirs.ssim)


def _truth_rows(
    psnr: float | None, psnr_base: float | None, ssim: float | None, ssim_base: float | None
) -> str:
    rows = _row("PSNR, dB", psnr, psnr_base, 2) + _row("SSIM", ssim, ssim_base, 4)
    return f"<table><tr><th>known truth<th>restored<th>Lanczos<th>won</tr>{rows}</table>"


def _row(name: str, ours: float | None, theirs: float | None, digits: int) -> str:
    won = ""
    if ours is not None and theirs is not None:
        kind = "won" if ours >= theirs else "lost"
        won = f'<span class="{kind}">{ours - theirs:+.{digits}f}</span>'
    return f"<tr><td>{name}<td>{_number(ours, digits)}<td>{_number(theirs, digits)}<td>{won}</tr>"


def _number(value: float | None, digits: int) -> str:
    return "none" if value is None else f"{value:.{digits}f}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
