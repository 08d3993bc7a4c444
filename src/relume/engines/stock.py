"""The weights that can be used now, by what they are for, and which of them does a task."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relume.engines.enlarge import passes
from relume.engines.weights import Kind, Weights


@dataclass(frozen=True, slots=True)
class Stock:
    """Never changes: when files come or go, another stock takes its place, and a running job keeps the one
    that it began with.
    """

    upscalers: tuple[Weights, ...] = ()
    face_models: tuple[Weights, ...] = ()
    detectors: tuple[Weights, ...] = ()
    recognisers: tuple[Weights, ...] = ()
    has_files: bool = False
    """Whether there are weights at all, of use or not."""

    @classmethod
    def of(cls, found: Iterable[Weights]) -> Stock:
        found = tuple(found)

        def usable(kind: Kind) -> tuple[Weights, ...]:
            return tuple(
                weights for weights in found if weights.kind == kind and not weights.identity.problem
            )

        kinds = (usable("upscaler"), usable("faces"), usable("detector"), usable("recogniser"))
        return cls(*kinds, has_files=bool(found))

    @property
    def usable(self) -> tuple[Weights, ...]:
        return (*self.upscalers, *self.face_models, *self.detectors, *self.recognisers)

    @property
    def digests(self) -> frozenset[str]:
        """The SHA-256 of each that can be used."""
        return frozenset(weights.sha256 for weights in self.usable)

    def upscaler_for(self, scale: int) -> Weights | None:
        """The one that does it with the least work thrown away; of several, the largest file."""
        fit = [found for found in self.upscalers if passes(found.scale, scale) is not None]
        return min(fit, key=lambda found: (_waste(found.scale, scale), -found.size_bytes), default=None)

    def faces_for(self, version: str) -> Weights | None:
        """The version asked for where it is here, else the newest."""
        named = [found for found in self.face_models if found.known and found.known.version == version]
        fit = named or sorted(self.face_models, key=lambda found: found.version)
        return fit[-1] if fit else None


def _waste(model_scale: int, wanted: int) -> int:
    """0 for a model of the very scale; a larger one and one that runs twice are worse."""
    return 0 if model_scale == wanted else model_scale if model_scale > wanted else 2 * wanted
