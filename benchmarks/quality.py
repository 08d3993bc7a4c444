"""How well the built-in restorer restores: on photos that nothing was trained with, beside classical filters.

Each task spoils photos in a known way, so that PSNR and SSIM against the truth can be told (RGB, 4 pixels of
border cut off, mean over photos). Beside Relume: doing nothing (Lanczos where it enlarges), Relume's own steps
without networks, the best classical filter of OpenCV and scikit-image with its parameter tuned to the very
photos it is measured on, and Real-ESRGAN where its weights lie in the folder that `--weights` names.

Photos: six (scikit-learn's china and flower, scikit-image's astronaut, chelsea and coffee, matplotlib's
grace_hopper; some of Relume's classical thresholds were chosen with a look at some of them), and three more of
scikit-image's files (camera, coins, moon), with which other networks of Relume were trained or chosen: damage and
colour are measured on the six alone. Those whose package is missing are
left out, and the report says so.

Run it on a quiet machine with the project's environment and the extra `local`, scikit-learn, matplotlib and
PyWavelets beside it:

    .venv/bin/python benchmarks/quality.py --output quality

It writes `quality.json`, `quality.md` and `quality.png` (before, Relume, the best filter and the truth, crops at
200 %) into that folder. Takes about fifteen minutes on two cores; `--quick` takes the first photo only.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # For the generators in training/.

from quality_peers import Peer, RealEsrgan, best_filter
from quality_photos import EXTRA, SIX, held_out
from quality_sheet import Strip, contact_sheet
from quality_speed import speed
from quality_tasks import TASKS, Case, Task, colour_row, damage_row, untouched_row

from relume import __version__
from relume.builtin.nets import NO_NETS, Nets
from relume.imaging.compare import psnr, ssim
from relume.imaging.photo import Photo, Pixels

BORDER = 4


@dataclass
class Scores:
    """Of one way to do a task: dB and structural similarity of each photo."""

    psnr: dict[str, float] = field(default_factory=dict)
    ssim: dict[str, float] = field(default_factory=dict)

    def add(self, photo: str, made: Pixels, truth: Pixels) -> None:
        ours, theirs = (_inside(pixels) for pixels in (made, truth))
        self.psnr[photo] = round(min(psnr(ours, theirs), 99.0), 3)
        self.ssim[photo] = round(ssim(ours, theirs), 4)

    def told(self, photos: set[str]) -> dict[str, float]:
        """Means over some of the photos."""
        chosen = [name for name in self.psnr if name in photos]
        if not chosen:
            return {}
        return {
            "psnr_db": round(float(np.mean([self.psnr[name] for name in chosen])), 2),
            "ssim": round(float(np.mean([self.ssim[name] for name in chosen])), 4),
        }


def _inside(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[BORDER:-BORDER, BORDER:-BORDER])


def measure(task: Task, photos: dict[str, Photo], peers: list[Peer]) -> tuple[dict[str, Any], list[Strip]]:
    """One row of the table, and pictures of it."""
    cases = [task.case(name, photo) for name, photo in photos.items()]
    filter_name, filtered = best_filter(task, cases)
    ways: dict[str, Any] = {
        "plain": lambda case: task.plain(case.spoilt),
        "relume fast": lambda case: task.relume(case.spoilt, Nets(quality="fast")),
        "relume best": lambda case: task.relume(case.spoilt, Nets(quality="best")),
        "relume without networks": lambda case: task.relume(case.spoilt, NO_NETS),
        "best filter": lambda case: filtered(case.spoilt),
    }
    ways |= {
        peer.name: lambda case, peer=peer: peer.run(task, case.spoilt) for peer in peers if peer.does(task)
    }
    scores = {name: Scores() for name in ways}
    strips = []
    for case in cases:
        made = {name: way(case).pixels for name, way in ways.items()}
        for name, pixels in made.items():
            scores[name].add(case.name, pixels, case.truth.pixels)
        strips.append(_strip(task, case, made))
    report = {name: _by_group(score) for name, score in scores.items()}
    return {"best filter is": filter_name, **report}, strips


def _by_group(scores: Scores) -> dict[str, Any]:
    return {
        "six": scores.told(set(SIX)),
        "others": scores.told(set(EXTRA)),
        "each": {name: [scores.psnr[name], scores.ssim[name]] for name in scores.psnr},
    }


def _strip(task: Task, case: Case, made: dict[str, Pixels]) -> Strip:
    pictures = {
        "before": made["plain"],
        "Relume": made["relume best"],
        "best filter": made["best filter"],
        "truth": case.truth.pixels,
    }
    return Strip(f"{task.name}: {case.name}", pictures)


def markdown(report: dict[str, Any]) -> str:
    columns = list(
        dict.fromkeys(way for row in report["tasks"].values() for way in row if way != "best filter is")
    )
    lines = [
        f"# Quality of the built-in restorer, Relume {report['version']}",
        "",
        f"Photos: {', '.join(report['photos'])}. Missing: {', '.join(report['missing']) or 'none'}.",
    ]
    for group in ("six", "others"):
        lines += ["", f"## Mean of the {group} (PSNR in dB / SSIM)", ""]
        lines += [
            "| task | " + " | ".join(columns) + " | best filter is |",
            "| --- |" + " --- |" * (len(columns) + 1),
        ]
        for task, row in report["tasks"].items():
            cells = [_cell(row.get(way, {}).get(group)) for way in columns]
            lines.append(f"| {task} | {' | '.join(cells)} | {row['best filter is']} |")
    lines += ["", "## Others", "", "| what | figure |", "| --- | --- |"]
    lines += [f"| {what} | {figure} |" for what, figure in report["others"].items()]
    return "\n".join(lines) + "\n"


def _cell(told: dict[str, float] | None) -> str:
    return f"{told['psnr_db']:.2f} / {told['ssim']:.3f}" if told else ""


def shipped() -> dict[str, str]:
    cards = Nets().table.cards.values()
    return {
        "networks that ship": ", ".join(f"{card.name} {card.version}" for card in cards) or "none",
        "their files together": f"{sum(card.bytes for card in cards) / 1e6:.2f} MB",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("quality"), help="folder for the report")
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="where Real-ESRGAN may lie")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--task", action="append", help="only tasks whose name contains this; may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="the first photo only, and no speed")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    photos, missing = held_out()
    if options.quick:
        photos = dict(list(photos.items())[:1])
    wanted = [task for task in TASKS if not options.task or any(part in task.name for part in options.task)]
    peers: list[Peer] = [peer for peer in (RealEsrgan.found(options.weights),) if peer]
    report: dict[str, Any] = {"version": __version__, "photos": list(photos), "missing": missing, "tasks": {}}
    strips: list[Strip] = []
    for task in wanted:
        report["tasks"][task.name], pictures = measure(task, photos, peers)
        strips += pictures[:2]
        print(json.dumps({task.name: report["tasks"][task.name]}), flush=True)
    report["others"] = shipped()
    if not options.task:
        for row in (untouched_row, damage_row, colour_row):
            figures, pictures = row({name: photo for name, photo in photos.items() if name in SIX})
            report["others"] |= figures
            strips += pictures[:2]
            print(json.dumps(figures), flush=True)
        if not options.quick:
            report["others"] |= speed(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "quality.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    (options.output / "quality.md").write_text(markdown(report), encoding="utf-8")
    contact_sheet(strips, options.output / "quality.png")
    print(markdown(report))


if __name__ == "__main__":
    main()
