"""Measure what is wrong with a photo, before anything is done about it."""

from __future__ import annotations

from dataclasses import dataclass

from relume.builtin.blocks import Blocks, measure_blocks
from relume.builtin.blur import Blur, measure_blur
from relume.builtin.noise import Noise, measure_noise
from relume.builtin.scratches import Scratches, find_scratches
from relume.builtin.tone import Tone, measure_tone
from relume.imaging.photo import Photo


@dataclass(frozen=True, slots=True, eq=False)
class Damage:
    """Every measure, each with how sure it is."""

    noise: Noise
    blocks: Blocks
    tone: Tone
    blur: Blur
    scratches: Scratches


def measure(photo: Photo) -> Damage:
    """All measures of a photo of any size. Transparent parts do not count.

    Measured on one core: 0.3 s for 1 megapixel and 0.7 s for 16, which are sampled; toned photos, which are
    searched for scratches, take up to 1.5 s more.
    """
    noise = measure_noise(photo)
    tone = measure_tone(photo)
    scratches = find_scratches(photo, tone, noise)
    if scratches.mask.any():
        # White scratches would pass for the photo's own white.
        tone = measure_tone(photo, ignored=scratches.mask)
    return Damage(noise, measure_blocks(photo), tone, measure_blur(photo), scratches)
