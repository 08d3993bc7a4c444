"""Models on this machine: the weights in WEIGHTS_DIR, on a GPU if there is one, else on the processor."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import anyio
import anyio.to_thread
import cv2

from relume.engines.detect import Cascade, Detector, YuNet, has_cascade
from relume.engines.engine import PROCESSOR, Engine, EngineOptions
from relume.engines.enlarge import Upscaler, enlarge, passes
from relume.engines.faces import FaceRules, FoundFaces, IdentityCheck, find_faces, restore_faces
from relume.engines.identity import Recogniser, SFace
from relume.engines.loaded import LoadedModels
from relume.engines.models import ModelUnusable, identify
from relume.engines.packages import missing_packages
from relume.engines.quantise import Calibration, is_quantised, quantise
from relume.engines.reach import overlap_of
from relume.engines.weights import Weights, WeightsFolder
from relume.errors import InternalError, ProviderError
from relume.imaging.photo import Photo
from relume.imaging.resize import resize
from relume.ports import Result, RunContext, StepReport
from relume.providers.verify import verify
from relume.settings import Settings
from relume.tasks import RestoreFaces, Task, Upscale
from relume.telemetry import logger

log = logger(__name__)

_ENLARGED = 0.8
"""Where the progress of a portrait stands when all but the faces is done."""


class LocalProvider:
    """Runs in worker threads, one photo at a time on the one device it uses.

    The weights are looked at once, when the service starts; models are loaded when they are first needed.
    """

    name = "local"
    is_local = True
    needs_device = True

    def __init__(
        self,
        weights: Sequence[Weights],
        options: EngineOptions,
        rules: FaceRules | None = None,
        *,
        absent: Sequence[str] = (),
        recogniser: Recogniser | None = None,
    ) -> None:
        """`recogniser` stands in for the one whose weights may be here."""
        self._has_files = bool(weights)
        weights = [found for found in weights if not found.identity.problem]
        self._upscalers = [found for found in weights if found.kind == "upscaler"]
        self._face_models = [found for found in weights if found.kind == "faces"]
        self._detectors = [found for found in weights if found.kind == "detector"]
        self._recognisers = [found for found in weights if found.kind == "recogniser"]
        self._options, self._rules = options, rules or FaceRules()
        self._absent = tuple(absent)
        self._models = LoadedModels(options)
        self._calibration = Calibration(options.cache)
        self._detector: Detector | None = None
        self._recogniser = recogniser
        self._device = anyio.CapacityLimiter(1)

    @classmethod
    def from_settings(cls, settings: Settings) -> LocalProvider:
        options = EngineOptions(
            cache=settings.engine_cache,
            precision=settings.local_precision,
            memory_mb=settings.local_memory_mb,
            tile=settings.local_tile,
        )
        folder = WeightsFolder(settings.weights_dir, options.cache / "weights.json", identify)
        rules = FaceRules(settings.face_min_pixels, settings.face_confidence)
        return cls(folder.scan(), options, rules, absent=missing_packages())

    def supports(self, task: Task) -> bool:
        if self._absent:
            return False
        if isinstance(task, Upscale):
            return self._upscaler_for(task.scale) is not None
        return isinstance(task, RestoreFaces) and bool(self._face_models) and self._can_detect

    def estimate_usd(self, task: Task) -> float:
        del task
        return 0.0

    def unavailable(self) -> str | None:
        if not self._has_files:
            return "there are no weights in WEIGHTS_DIR (relume models list)"
        if self._absent:
            return f"the extra packages of relume[local] are not installed ({', '.join(self._absent)})"
        if not self._upscalers and not self._face_models:
            return "no weights in WEIGHTS_DIR enlarge or restore faces (relume models list)"
        if not self._upscalers and not self._can_detect:
            yunet = "relume models pull face_detection_yunet_2023mar"
            return f"there are weights for faces, but nothing that finds faces ({yunet})"
        return None

    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        assert photo is not None  # noqa: S101 (all tasks it supports are about a photo)
        return await anyio.to_thread.run_sync(self._run, task, photo, context, limiter=self._device)

    def _run(self, task: Task, photo: Photo, context: RunContext) -> Result:
        """Raises JobCancelled, ProviderError."""
        try:
            if isinstance(task, RestoreFaces):
                result = self._restore(task, photo, context)
            else:
                result = self._upscale(cast("Upscale", task), photo, context)
        except ModelUnusable as error:
            raise ProviderError(f"The weights cannot be used: {error}.") from error
        except MemoryError as error:
            raise ProviderError("The photo does not fit into this machine's memory.") from error
        return verify(task, photo, result)

    def _upscale(self, task: Upscale, photo: Photo, context: RunContext) -> Result:
        weights = self._upscaler_for(task.scale)
        if weights is None:
            raise InternalError
        made, steps = self._enlarge(photo, task.scale, weights, context)
        return Result(made, self.name, weights.family, weights.version, steps, generative=True)

    def _restore(self, task: RestoreFaces, photo: Photo, context: RunContext) -> Result:
        """Faces are found in the photo as it came; they are put into the enlarged one."""
        weights = self._face_weights(task.version)
        started = time.perf_counter()
        context.progress(0.0, "detect")
        found = find_faces(photo, self._face_detector())
        seconds = time.perf_counter() - started
        upscaler = self._upscaler_for(task.scale)
        background = context.part(0.05, _ENLARGED)
        if upscaler is not None:
            around, steps = self._enlarge(photo, task.scale, upscaler, background)
        else:
            around, steps = _by_lanczos(photo, task.scale)
        identity, last = self._identity_check(photo), context.part(_ENLARGED, 1.0)
        made, faces = self._with_faces(task, around, found, weights, identity, last)
        look = StepReport("detect", False, f"{found.detector} found {len(found.faces)} faces.", 1.0, seconds)
        all_steps = (look, *steps, *faces)
        family = weights.family if upscaler is None else f"{weights.family} and {upscaler.family}"
        return Result(
            made,
            self.name,
            family,
            weights.version if upscaler is None else f"{weights.version}, {upscaler.version}",
            all_steps,
            changed=made is not photo,
            generative=upscaler is not None or any(step.changed for step in faces),
        )

    def _with_faces(
        self,
        task: RestoreFaces,
        around: Photo,
        found: FoundFaces,
        weights: Weights,
        identity: IdentityCheck | None,
        context: RunContext,
    ) -> tuple[Photo, tuple[StepReport, ...]]:
        engine = self._models.get(weights, self._plain)  # Faces are where 8 bits would show.
        try:
            return restore_faces(around, found, task.scale, engine, self._rules, context, task, identity)
        finally:
            engine.release()

    def _enlarge(
        self, photo: Photo, scale: int, weights: Weights, context: RunContext
    ) -> tuple[Photo, tuple[StepReport, ...]]:
        engine, notes = self._upscaling_engine(weights, photo)
        overlap = overlap_of(
            lambda: self._models.get(weights, self._plain), weights.sha256, self._options.cache
        )
        upscaler = Upscaler(engine, overlap, self._models.held_bytes, self._options)
        made, report = enlarge(photo, scale, upscaler, context)
        return made, (replace(report, detail=" ".join((report.detail, *notes))),)

    def _upscaling_engine(self, weights: Weights, photo: Photo) -> tuple[Engine, tuple[str, ...]]:
        """In 8 bits where that is asked for and enough photos have been seen, else as well as can be."""
        if self._options.precision != "int8":
            return self._models.get(weights), ()
        if is_quantised(weights, self._options):
            return self._models.get(weights, "int8"), ()
        plain = self._models.get(weights, self._plain)
        if plain.device != PROCESSOR:
            return plain, ("int8 is for processors.",)
        if not self._calibration.is_enough:
            self._calibration.add(photo.pixels)
            return plain, (f"int8 waits for more photos: {self._calibration.count()} tiles are here.",)
        quantise(weights, self._options)
        return self._models.get(weights, "int8"), ()

    def _upscaler_for(self, scale: int) -> Weights | None:
        """The one that does it with the least work thrown away; of several, the largest file."""
        fit = [found for found in self._upscalers if passes(found.scale, scale) is not None]
        return min(fit, key=lambda found: (_waste(found.scale, scale), -found.size_bytes), default=None)

    def _face_weights(self, version: str) -> Weights:
        """The version asked for where it is here, else the newest."""
        named = [found for found in self._face_models if found.known and found.known.version == version]
        return (named or sorted(self._face_models, key=lambda found: found.version))[-1]

    @property
    def fingerprint(self) -> str:
        """What its results depend on besides the photo: another one makes cached results outdated."""
        weights = (*self._upscalers, *self._face_models, *self._detectors, *self._recognisers)
        return " ".join(
            (*(found.sha256[:16] for found in weights), self._options.precision, repr(self._rules))
        )

    @property
    def _plain(self) -> str:
        """The precision of what is never computed in 8 bits."""
        return "auto" if self._options.precision == "int8" else self._options.precision

    @property
    def _can_detect(self) -> bool:
        return bool(self._detectors) or has_cascade()

    def _face_detector(self) -> Detector:
        if self._detector is None:
            self._detector = YuNet(self._detectors[0].path) if self._detectors else Cascade()
        return self._detector

    def _identity_check(self, photo: Photo) -> IdentityCheck | None:
        """None where no weights of a recogniser are here. Raises ModelUnusable."""
        if self._recogniser is None and self._recognisers:
            weights = self._recognisers[0]
            try:
                self._recogniser = SFace(weights.path)
            except cv2.error as error:
                raise ModelUnusable(f"OpenCV cannot read {weights.path.name}") from error
        return IdentityCheck(self._recogniser, photo) if self._recogniser else None


def _waste(model_scale: int, wanted: int) -> int:
    """0 for a model of the very scale; a larger one and one that runs twice are worse."""
    return 0 if model_scale == wanted else model_scale if model_scale > wanted else 2 * wanted


def _by_lanczos(photo: Photo, scale: int) -> tuple[Photo, tuple[StepReport, ...]]:
    if scale == 1:
        return photo, ()
    made = resize(photo, photo.width * scale, photo.height * scale)
    return made, (StepReport("upscale", True, f"Enlarged {scale} times by Lanczos.", 1.0),)
