"""Loaded models: kept as long as the memory limit allows, the least lately used go first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection

from relume.engines.cuda import has_gpu, load_torch_engine
from relume.engines.engine import Engine, EngineOptions
from relume.engines.models import ModelUnusable
from relume.engines.openvino import load_openvino, resolve_precision
from relume.engines.packages import missing_packages
from relume.engines.weights import Weights
from relume.telemetry import logger

log = logger(__name__)

MEGABYTE = 1_000_000


class LoadedModels:
    """Shared by the threads of a process; loading blocks the others that want a model."""

    def __init__(
        self, options: EngineOptions, load: Callable[[Weights, EngineOptions, str], Engine] | None = None
    ) -> None:
        self.options = options
        self._load = load or load_engine
        self._engines: OrderedDict[tuple[str, str], Engine] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, weights: Weights, precision: str | None = None) -> Engine:
        """The model, loaded if it is not. Raises ModelUnusable."""
        key = (weights.sha256, precision or self.options.precision)
        with self._lock:
            if key not in self._engines:
                self._make_room(weights.size_bytes)
                self._engines[key] = self._load(weights, self.options, key[1])
                log.info("model.loaded", weights=weights.path.name, precision=self._engines[key].precision)
            self._engines.move_to_end(key)
            return self._engines[key]

    def drop(self, weights: Weights) -> None:
        """Forget a model, so that the next use loads it anew."""
        with self._lock:
            for key in [key for key in self._engines if key[0] == weights.sha256]:
                del self._engines[key]

    def keep_only(self, digests: Collection[str]) -> None:
        """Unload all models but those of weights with these SHA-256."""
        with self._lock:
            for key in [key for key in self._engines if key[0] not in digests]:
                del self._engines[key]
                log.info("model.unloaded", sha256=key[0][:12], precision=key[1])

    @property
    def held_bytes(self) -> int:
        with self._lock:
            return sum(engine.held_bytes for engine in self._engines.values())

    def _make_room(self, wanted_bytes: int) -> None:
        limit = self.options.memory_mb * MEGABYTE
        while self._engines and self.held_bytes + wanted_bytes > limit:
            self._engines.popitem(last=False)


def load_engine(weights: Weights, options: EngineOptions, precision: str) -> Engine:
    """On the GPU if there is one, else on the processor. Raises ModelUnusable."""
    is_onnx = weights.path.suffix.lower() == ".onnx"
    if not is_onnx and "torch" not in missing_packages() and has_gpu():
        return load_torch_engine(weights, "cuda")
    try:
        return load_openvino(weights, options, resolve_precision(precision))
    except ModelUnusable:
        if is_onnx or precision == "int8" or weights.is_replaced:
            raise
        return load_torch_engine(weights, "cpu")
