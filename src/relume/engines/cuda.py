"""Models by torch: on a GPU in half precision, and on the processor where OpenVINO cannot convert one."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from relume.engines.engine import PROCESSOR, Images
from relume.engines.memory import free_bytes
from relume.engines.models import ModelShape, load_torch
from relume.engines.packages import torch
from relume.engines.weights import Weights
from relume.telemetry import logger

log = logger(__name__)

GPU_BATCH = 4
_AMPERE = 8
_SAMPLE_SIDE = 128
_BYTES_PER_PIXEL_UNMEASURED = 40_000.0
_WARM_UPS = 2


def has_gpu() -> bool:
    return bool(torch().cuda.is_available())


class TorchEngine:
    """Half precision and channels last on a GPU.

    A shape that comes again is replayed as a CUDA graph, which spares a deep network's hundreds of launches.
    """

    def __init__(self, model: Any, shape: ModelShape, device: str) -> None:
        self.shape = shape
        self._device = torch().device(device)
        self._on_gpu = self._device.type == "cuda"
        self._dtype = _dtype(shape, on_gpu=self._on_gpu)
        # GFPGAN's modulated weights have five dimensions, and it reshapes in a way that wants channels first.
        is_plain = shape.side is None and all(value.dim() <= 4 for value in model.parameters())
        self._layout = torch().channels_last if is_plain else torch().contiguous_format
        self._model = model.eval().to(self._device, self._dtype)
        if is_plain:
            self._model = self._model.to(memory_format=self._layout)
        self._graph: _Replay | None = None
        self._last_shape: tuple[int, ...] | None = None

    @property
    def precision(self) -> str:
        return {"torch.float16": "f16", "torch.bfloat16": "bf16"}.get(str(self._dtype), "f32")

    @cached_property
    def device(self) -> str:
        return str(torch().cuda.get_device_name(self._device)) if self._on_gpu else PROCESSOR

    @property
    def batch(self) -> int:
        return GPU_BATCH if self._on_gpu and self.shape.side is None else 1

    @cached_property
    def held_bytes(self) -> int:
        return sum(value.numel() * value.element_size() for value in self._model.state_dict().values())

    @cached_property
    def bytes_per_pixel(self) -> float:
        """Measured on a GPU with a small image; a cautious guess elsewhere."""
        if not self._on_gpu:
            return _BYTES_PER_PIXEL_UNMEASURED
        cuda, side = torch().cuda, self.shape.side or max(_SAMPLE_SIDE, self.shape.smallest)
        before = cuda.memory_allocated(self._device)
        cuda.reset_peak_memory_stats(self._device)
        self.run(np.zeros((1, 3, side, side), np.float32))
        taken: int = cuda.max_memory_allocated(self._device) - before
        return max(taken, 1) / side**2

    def run(self, images: Images) -> Images:
        with torch().inference_mode():
            given = torch().from_numpy(np.ascontiguousarray(images)).to(self._device, self._dtype)
            given = given.contiguous(memory_format=self._layout)
            made: Images = self._forward(given).float().cpu().numpy()
        return made

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Also gives back what the failed run had taken, so that a smaller tile finds room."""
        if not isinstance(error, MemoryError | torch().cuda.OutOfMemoryError):
            return False
        self.release()
        return True

    def free_bytes(self) -> int:
        if not self._on_gpu:
            return free_bytes()
        free, _ = torch().cuda.mem_get_info(self._device)
        return int(free)

    def release(self) -> None:
        self._graph, self._last_shape = None, None
        if self._on_gpu:
            torch().cuda.empty_cache()

    def _forward(self, given: Any) -> Any:
        shape = tuple(given.shape)
        if self._graph is not None and self._graph.shape == shape:
            return self._graph(given)
        if self._on_gpu and shape == self._last_shape:
            self._graph = self._captured(given)
            if self._graph is not None:
                return self._graph(given)
        self._last_shape = shape
        return self._model(given)

    def _captured(self, given: Any) -> _Replay | None:
        """None where the model does something that cannot be captured, such as waiting for the processor."""
        try:
            return _Replay(self._model, given)
        except torch().cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            log.info("model.not_captured", reason=str(error).splitlines()[0])
            self._last_shape = None
            return None


class _Replay:
    """A forward pass for one shape, captured once and replayed."""

    def __init__(self, model: Any, given: Any) -> None:
        cuda = torch().cuda
        self.shape = tuple(given.shape)
        self._given = given.clone()  # In the same layout.
        aside = cuda.Stream()
        aside.wait_stream(cuda.current_stream())
        with cuda.stream(aside):  # Libraries choose their kernels before the capture, never during it.
            for _ in range(_WARM_UPS):
                model(self._given)
        cuda.current_stream().wait_stream(aside)
        self._graph = cuda.CUDAGraph()
        with cuda.graph(self._graph):
            self._made = model(self._given)

    def __call__(self, given: Any) -> Any:
        self._given.copy_(given)
        self._graph.replay()
        return self._made


def load_torch_engine(weights: Weights, device: str) -> TorchEngine:
    """Raises ModelUnusable."""
    model, shape = load_torch(weights.path)
    return TorchEngine(model, shape, device)


def _dtype(shape: ModelShape, *, on_gpu: bool) -> Any:
    if not on_gpu:
        return torch().float32
    if shape.half_precision:
        return torch().float16
    major, _ = torch().cuda.get_device_capability()
    return torch().bfloat16 if major >= _AMPERE else torch().float32
