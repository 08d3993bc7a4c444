"""Makes before-after.jpg: a public-domain portrait, aged by this script, and what Relume makes of it.

Run with the project's environment: `.venv/bin/python docs/images/before_after.py` (needs the `dev` extra).
"""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage import data

from relume.imaging.limits import WIDE
from relume.ports import RunContext
from relume.recipes import build
from relume.settings import load_settings
from relume.wiring.providers import build_pipeline

SEED = 20
PAPER = (246, 245, 243)
GAP_PIXELS = 12


def aged(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Sepia, faded, grainy, creased and dusty, as a print of the nineteen-thirties comes out of a drawer."""
    random = np.random.default_rng(SEED)
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    tone = np.array((1.0, 0.84, 0.6), np.float32)
    faded = (0.16 + 0.55 * grey[..., None]) * tone
    print_ = np.clip((faded + random.normal(0, 0.025, faded.shape)) * 255, 0, 255).astype(np.uint8)
    image = Image.fromarray(print_)
    draw = ImageDraw.Draw(image)
    height, width = grey.shape
    for _ in range(4):
        points = [(random.uniform(0, width), random.uniform(0, height))]
        for _ in range(12):
            points.append((points[-1][0] + random.normal(0, 9), points[-1][1] + random.uniform(8, 30)))
        draw.line(points, fill=PAPER, width=int(random.integers(1, 3)), joint="curve")
    for _ in range(70):
        x, y, radius = random.uniform(0, width), random.uniform(0, height), random.uniform(0.4, 1.5)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=PAPER)
    return np.asarray(image)


def restored(photo: NDArray[np.uint8]) -> Image.Image:
    png = io.BytesIO()
    Image.fromarray(photo).save(png, "PNG")
    recipe = build("restoration/gfpgans-1.4", strength=1.0, scale=1)
    pipeline = build_pipeline(load_settings(provider="builtin"))
    result = asyncio.run(pipeline.run(png.getvalue(), recipe, WIDE, RunContext()))
    return Image.open(io.BytesIO(result.data)).convert("RGB")


def main() -> None:
    portrait: Any = data.astronaut()  # type: ignore[no-untyped-call]  # NASA, public domain
    before = aged(portrait)
    after = restored(before)
    side = Image.new("RGB", (before.shape[1] * 2 + GAP_PIXELS, before.shape[0]), "white")
    side.paste(Image.fromarray(before), (0, 0))
    side.paste(after, (before.shape[1] + GAP_PIXELS, 0))
    side.save(Path(__file__).with_name("before-after.jpg"), quality=88, optimize=True)


if __name__ == "__main__":
    main()
