"""Measure what is wrong with a photo, before anything is done about it."""

from __future__ import annotations

from functools import cached_property
from typing import Self

from relume.builtin.blocks import Blocks, measure_blocks
from relume.builtin.blur import Blur, measure_blur
from relume.builtin.degradation import Degradation, measure_degradation
from relume.builtin.nets import NO_NETS, Nets
from relume.builtin.noise import Noise, measure_noise
from relume.builtin.scratches import Scratches, find_scratches
from relume.builtin.tone import Tone, measure_tone
from relume.imaging.photo import Photo


class Damage:
    """Every measure of a photo of any size, each with how sure it is. Transparent parts do not count.

    Each is taken when it is first asked for, and once. All of them, measured on one core: 0.3 s for 1 megapixel and
    0.7 s for 16, which are sampled; toned photos, which are searched for scratches, take up to 1.5 s more.
    """

    def __init__(self, photo: Photo, nets: Nets = NO_NETS) -> None:
        self._photo, self._nets = photo, nets

    def measured(self) -> Self:
        """With nothing left to measure: what is done about it then takes its own time only."""
        for name, part in vars(type(self)).items():
            if isinstance(part, cached_property):
                getattr(self, name)
        return self

    @cached_property
    def noise(self) -> Noise:
        return measure_noise(self._photo)

    @cached_property
    def blocks(self) -> Blocks:
        return measure_blocks(self._photo)

    @cached_property
    def degradation(self) -> Degradation:
        return measure_degradation(self._photo, self.noise, self.blocks, self._nets)

    @cached_property
    def tone(self) -> Tone:
        # White scratches would pass for the photo's own white.
        mask = self.scratches.mask
        return measure_tone(self._photo, ignored=mask) if mask.any() else self._tone_with_scratches

    @cached_property
    def blur(self) -> Blur:
        return measure_blur(self._photo)

    @cached_property
    def scratches(self) -> Scratches:
        return find_scratches(self._photo, self._tone_with_scratches, self.noise, self._nets)

    @cached_property
    def _tone_with_scratches(self) -> Tone:
        return measure_tone(self._photo)
