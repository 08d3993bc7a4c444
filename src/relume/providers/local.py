"""Models on this machine: the weights in WEIGHTS_DIR, on a GPU if there is one, else on the processor."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

import anyio
import anyio.to_thread
import cv2

from relume.engines.detect import Cascade, Detector, YuNet, has_cascade
from relume.engines.engine import PROCESSOR, Engine, EngineOptions
from relume.engines.enlarge import Upscaler, enlarge
from relume.engines.faces import FaceRules, FoundFaces, IdentityCheck, find_faces, restore_faces
from relume.engines.identity import Recogniser, SFace
from relume.engines.loaded import LoadedModels
from relume.engines.models import ModelUnusable, identify
from relume.engines.packages import missing_packages
from relume.engines.quantise import Calibration, is_quantised, quantise
from relume.engines.reach import overlap_of
from relume.engines.stock import Stock
from relume.engines.watch import WeightsWatch
from relume.engines.weights import Weights, WeightsFolder
from relume.errors import ProviderError
from relume.imaging.photo import Photo
from relume.imaging.resize import resize
from relume.ports import Credit, Result, RunContext, StepReport
from relume.providers.verify import verify
from relume.settings import Settings
from relume.tasks import RestoreFaces, Task, Upscale
from relume.telemetry import logger

log = logger(__name__)

T = TypeVar("T")

_ENLARGED = 0.8
"""Where the progress of a portrait stands when all but the faces is done."""
_GONE = "they are not in WEIGHTS_DIR any more"


class LocalProvider:
    """Runs in worker threads, one photo at a time on the one device it uses.

    Models are loaded when they are first needed. What has come to the folder of weights since the start, or left
    it, is found by `refresh`; a photo that is being worked on keeps the weights that were here when it began.
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
        watch: WeightsWatch | None = None,
    ) -> None:
        """`recogniser` stands in for the one whose weights may be here. `watch` tells `refresh` what is here now."""
        self._stock = Stock.of(weights)
        self._options, self._rules = options, rules or FaceRules()
        self._absent = tuple(absent)
        self._models = LoadedModels(options)
        self._calibration = Calibration(options.cache)
        self._detectors: dict[str, Detector] = {}
        self._recognisers: dict[str, Recogniser] = {}
        self._stand_in = recogniser
        self._watch = watch
        self._device, self._looking = anyio.CapacityLimiter(1), anyio.CapacityLimiter(1)

    @classmethod
    def from_settings(cls, settings: Settings) -> LocalProvider:
        options = EngineOptions(
            cache=settings.engine_cache,
            precision=settings.local_precision,
            memory_mb=settings.local_memory_mb,
            tile=settings.local_tile,
        )
        folder = WeightsFolder(settings.weights_dir, options.cache / "weights.json", identify)
        watch = WeightsWatch(folder)
        rules = FaceRules(settings.face_min_pixels, settings.face_confidence)
        return cls(watch.first(), options, rules, absent=missing_packages(), watch=watch)

    async def refresh(self) -> None:
        """Look at the folder once: cheap, and off the event loop, unless a new file has to be read."""
        if self._watch is None:
            return
        found = await anyio.to_thread.run_sync(
            self._watch.look, limiter=self._looking, abandon_on_cancel=True
        )
        if found is not None:
            before, self._stock = self._stock, Stock.of(found)
            _tell(before, self._stock)
        try:
            self._device.acquire_nowait()
        except anyio.WouldBlock:
            return  # The photo that is being worked on does it at its end.
        try:
            self._let_go()
        finally:
            self._device.release()

    def _let_go(self) -> None:
        """Unload what was loaded from weights that are gone. To be called by whoever has the device."""
        digests = self._stock.digests
        self._models.keep_only(digests)
        for opened in (self._detectors, self._recognisers):
            for digest in opened.keys() - digests:
                del opened[digest]

    def supports(self, task: Task) -> bool:
        if self._absent:
            return False
        stock = self._stock
        if isinstance(task, Upscale):
            return stock.upscaler_for(task.scale) is not None
        return isinstance(task, RestoreFaces) and bool(stock.face_models) and _can_detect(stock)

    def estimate_usd(self, task: Task) -> float:
        del task
        return 0.0

    def unavailable(self) -> str | None:
        stock = self._stock
        if not stock.has_files:
            return "there are no weights in WEIGHTS_DIR (relume models list)"
        if self._absent:
            return f"the extra packages of relume[local] are not installed ({', '.join(self._absent)})"
        if not stock.upscalers and not stock.face_models:
            return "no weights in WEIGHTS_DIR enlarge or restore faces (relume models list)"
        if not stock.upscalers and not _can_detect(stock):
            yunet = "relume models pull face_detection_yunet_2023mar"
            return f"there are weights for faces, but nothing that finds faces ({yunet})"
        return None

    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        assert photo is not None  # noqa: S101 (all tasks it supports are about a photo)
        return await anyio.to_thread.run_sync(self._run, task, photo, context, limiter=self._device)

    def _run(self, task: Task, photo: Photo, context: RunContext) -> Result:
        """Raises JobCancelled, ProviderError."""
        stock = self._stock
        try:
            if isinstance(task, RestoreFaces):
                result = self._restore(task, photo, stock, context)
            else:
                result = self._upscale(cast("Upscale", task), photo, stock, context)
        except ModelUnusable as error:
            raise ProviderError(f"The weights cannot be used: {error}.") from error
        except MemoryError as error:
            raise ProviderError("The photo does not fit into this machine's memory.") from error
        finally:
            self._let_go()
        return verify(task, photo, result)

    def _upscale(self, task: Upscale, photo: Photo, stock: Stock, context: RunContext) -> Result:
        weights = stock.upscaler_for(task.scale)
        if weights is None:
            raise ModelUnusable(_GONE)
        made, steps = self._enlarge(photo, task.scale, weights, context)
        family, version, credit = weights.family, weights.version, weights.credit
        return Result(made, self.name, family, version, steps, generative=True, credits=(credit,))

    def _restore(self, task: RestoreFaces, photo: Photo, stock: Stock, context: RunContext) -> Result:
        """Faces are found in the photo as it came; they are put into the enlarged one."""
        weights = stock.faces_for(task.version)
        if weights is None or not _can_detect(stock):
            raise ModelUnusable(_GONE)
        started = time.perf_counter()
        context.progress(0.0, "detect")
        found = find_faces(photo, self._face_detector(stock))
        seconds = time.perf_counter() - started
        upscaler = stock.upscaler_for(task.scale)
        background = context.part(0.05, _ENLARGED)
        if upscaler is not None:
            around, steps = self._enlarge(photo, task.scale, upscaler, background)
        else:
            around, steps = _by_lanczos(photo, task.scale)
        identity, last = self._identity_check(photo, stock), context.part(_ENLARGED, 1.0)
        made, faces = self._with_faces(task, around, found, weights, identity, last)
        look = StepReport("detect", False, f"{found.detector} found {len(found.faces)} faces.", 1.0, seconds)
        all_steps = (look, *steps, *faces)
        family = weights.family if upscaler is None else f"{weights.family} and {upscaler.family}"
        restored = any(step.changed for step in faces)
        makers = ((weights,) if restored else ()) + ((upscaler,) if upscaler else ())
        return Result(
            made,
            self.name,
            family,
            weights.version if upscaler is None else f"{weights.version}, {upscaler.version}",
            all_steps,
            changed=made is not photo,
            generative=bool(makers),
            credits=tuple(one.credit for one in makers),
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

    @property
    def credits(self) -> list[tuple[str, Credit]]:
        """Of the weights that are used now, each with what it is for."""
        return [] if self._absent else [(found.kind, found.credit) for found in self._stock.usable]

    @property
    def fingerprint(self) -> str:
        """What its results depend on besides the photo: another one makes cached results outdated."""
        weights = (found.sha256[:16] for found in self._stock.usable)
        return " ".join((*weights, self._options.precision, repr(self._rules)))

    @property
    def _plain(self) -> str:
        """The precision of what is never computed in 8 bits."""
        return "auto" if self._options.precision == "int8" else self._options.precision

    def _face_detector(self, stock: Stock) -> Detector:
        """Raises ModelUnusable."""
        if not stock.detectors:
            return self._cascade
        weights = stock.detectors[0]
        if weights.sha256 not in self._detectors:
            self._detectors[weights.sha256] = _opened(YuNet, weights)
        return self._detectors[weights.sha256]

    @cached_property
    def _cascade(self) -> Detector:
        return Cascade()

    def _identity_check(self, photo: Photo, stock: Stock) -> IdentityCheck | None:
        """None where no weights of a recogniser are here. Raises ModelUnusable."""
        if self._stand_in is not None:
            return IdentityCheck(self._stand_in, photo)
        if not stock.recognisers:
            return None
        weights = stock.recognisers[0]
        if weights.sha256 not in self._recognisers:
            self._recognisers[weights.sha256] = _opened(SFace, weights)
        return IdentityCheck(self._recognisers[weights.sha256], photo)


def _can_detect(stock: Stock) -> bool:
    return bool(stock.detectors) or has_cascade()


def _opened(make: Callable[[Path], T], weights: Weights) -> T:
    """Raises ModelUnusable."""
    try:
        return make(weights.path)
    except cv2.error as error:
        raise ModelUnusable(f"OpenCV cannot read {weights.path.name}") from error


def _tell(before: Stock, now: Stock) -> None:
    for weights in now.usable:
        if weights.sha256 not in before.digests:
            log.info("weights.found", weights=weights.path.name, kind=weights.kind, licence=weights.licence)
    for weights in before.usable:
        if weights.sha256 not in now.digests:
            log.info("weights.gone", weights=weights.path.name, kind=weights.kind)


def _by_lanczos(photo: Photo, scale: int) -> tuple[Photo, tuple[StepReport, ...]]:
    if scale == 1:
        return photo, ()
    made = resize(photo, photo.width * scale, photo.height * scale)
    return made, (StepReport("upscale", True, f"Enlarged {scale} times by Lanczos.", 1.0),)
