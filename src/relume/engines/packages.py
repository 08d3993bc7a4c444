"""torch, spandrel and OpenVINO, imported late and without what they would do besides.

The package index's torchvision belongs to the CUDA build of torch; beside another build, importing it fails
(`operator torchvision::nms does not exist`). spandrel 0.4 imports it for two of its forty architectures and
uses three names of it: `normalize` (RestoreFormer), `rotate` and `InterpolationMode` (LaMa, which fills
holes and is never loaded here). Where torchvision does not work, a stand-in takes its place for the time of
spandrel's own import and is gone afterwards, so that nobody else finds it.
"""

from __future__ import annotations

import enum
import importlib
import importlib.util
import sys
import warnings
from types import ModuleType
from typing import Any

from relume.inference import importing, openvino, silence

__all__ = ["PACKAGES", "architecture", "missing_packages", "nncf", "openvino", "spandrel", "torch"]

_TORCHVISION = "torchvision.transforms.functional"

PACKAGES = ("torch", "spandrel", "openvino")


def missing_packages() -> list[str]:
    """Those of the `local` extra that are not installed. Imports none of them."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def torch() -> Any:
    return importlib.import_module("torch")


def nncf() -> Any:
    with importing, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of its own dependencies; nothing a user could act on.
        silence()
        importlib.import_module("openvino")
        return importlib.import_module("nncf")


def spandrel() -> Any:
    """Loads every architecture of this field from a file of weights, without running code from it."""
    with importing:
        if "spandrel" in sys.modules or _torchvision_works():
            return importlib.import_module("spandrel")
        stand_ins = _stand_ins()
        sys.modules.update(stand_ins)
        try:
            return importlib.import_module("spandrel")
        finally:
            for name in stand_ins:
                sys.modules.pop(name, None)


def architecture(name: str) -> Any:
    """One of spandrel's modules of an architecture."""
    spandrel()
    return importlib.import_module(f"spandrel.architectures.{name}")


def _torchvision_works() -> bool:
    before = set(sys.modules)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(_TORCHVISION)
    except (ImportError, RuntimeError, OSError, AttributeError):
        for name in set(sys.modules) - before:  # What a failed import leaves would look like a whole one.
            if name.partition(".")[0] == "torchvision":
                del sys.modules[name]
        return False
    return True


class _InterpolationMode(enum.Enum):
    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"


def _normalize(tensor: Any, mean: Any, std: Any, inplace: bool = False) -> Any:
    """As torchvision's: a (…, channels, height, width) tensor less its mean, by its standard deviation."""
    mean, std = (torch().as_tensor(value, dtype=tensor.dtype, device=tensor.device) for value in (mean, std))
    tensor = tensor if inplace else tensor.clone()
    return tensor.sub_(mean.reshape(-1, 1, 1)).div_(std.reshape(-1, 1, 1))


def _rotate(*_arguments: Any, **_options: Any) -> Any:
    raise NotImplementedError("This architecture needs a torchvision that fits the installed torch.")


def _stand_ins() -> dict[str, ModuleType]:
    names = ("torchvision", "torchvision.transforms", _TORCHVISION)
    modules = {name: ModuleType(name) for name in names}
    modules["torchvision"].__dict__["transforms"] = modules["torchvision.transforms"]
    modules["torchvision.transforms"].__dict__["functional"] = modules[_TORCHVISION]
    modules[_TORCHVISION].__dict__.update(
        normalize=_normalize, rotate=_rotate, InterpolationMode=_InterpolationMode
    )
    return modules
