"""The computer: what it has, and whether the image codecs work on it."""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from relume import __version__
from relume.cli.checkup.finding import Finding, failed, ok, warning
from relume.imaging.photo import ImageFormat

GIGABYTE = 10**9
FREE_MEMORY_WANTED_GB = 2.0
"""A 50 megapixel photo enlarged twice needs about 2 GB while it is blended and encoded."""
CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_int8")
"""What makes models fast on a processor."""


def python() -> Finding:
    details = f"Relume {__version__} on Python {platform.python_version()}, {platform.platform(terse=True)}"
    return ok("version", details)


def codecs() -> Finding:
    """Each format that needs a library is written and read back once."""
    broken = [format_.value for format_ in ImageFormat if not _survives(format_)]
    if broken:
        return failed("image formats", f"cannot be read here: {', '.join(broken)}")
    return ok("image formats", ", ".join(format_.value for format_ in ImageFormat))


def processor() -> Finding:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    flags = _cpu_flags()
    fast = ", ".join(flag for flag in CPU_FLAGS if flag in flags)
    return ok("processor", f"{cores} cores{f' with {fast}' if fast else ''}")


def graphics() -> Finding:
    """None is fine: everything that comes with Relume runs on the processor."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ok("GPU", "none found; the built-in restorer needs none")
    command = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    if answer.returncode:
        return warning("GPU", "nvidia-smi is installed, but reports no usable GPU")
    return ok("GPU", "; ".join(answer.stdout.strip().splitlines()))


def memory() -> Finding:
    free_gb = _free_memory_bytes() / GIGABYTE
    if not free_gb:
        return ok("memory", "its size cannot be told on this system")
    if free_gb < FREE_MEMORY_WANTED_GB:
        return warning("memory", f"{free_gb:.1f} GB free: too little for the largest photos")
    return ok("memory", f"{free_gb:.1f} GB free")


CHECKS: tuple[tuple[str, Callable[[], Finding]], ...] = (
    ("version", python),
    ("image formats", codecs),
    ("processor", processor),
    ("GPU", graphics),
    ("memory", memory),
)


def _survives(format_: ImageFormat) -> bool:
    from PIL import Image
    from pillow_heif import register_heif_opener

    from relume.errors import RelumeError
    from relume.imaging.decode import decode
    from relume.imaging.limits import WIDE

    register_heif_opener()
    file = io.BytesIO()
    name = "HEIF" if format_ is ImageFormat.HEIC else format_.value.upper()
    try:
        Image.linear_gradient("L").convert("RGB").save(file, name)
        photo = decode(file.getvalue(), WIDE)
    except (RelumeError, OSError, KeyError):
        return False
    return (photo.width, photo.height) == (256, 256)


def _cpu_flags() -> frozenset[str]:
    """The processor's instruction sets, as far as Linux tells them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def _free_memory_bytes() -> int:
    """Memory that can be taken now, or all there is where that is not told; 0 when nothing is."""
    limits = [*_cgroup_free_bytes(), *_available_bytes()]
    if limits:
        return min(limits)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf.
        return 0


def _available_bytes() -> list[int]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]


def _cgroup_free_bytes() -> list[int]:
    """A container's own limit, which /proc/meminfo does not know."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text(encoding="utf-8").strip()
        used = int((folder / "memory.current").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [] if limit == "max" else [max(int(limit) - used, 0)]
