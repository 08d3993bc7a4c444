"""How much memory is free, in this machine or this container."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def free_bytes() -> int:
    """Memory that can be taken now without swapping; 0 where the system does not tell."""
    told = [*_in_container(), *_in_machine()]
    return min(told, default=0) or _half_of_all()


def _in_container() -> list[int]:
    """A container's own limit, which /proc/meminfo does not know."""
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="utf-8").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [] if limit == "max" else [max(int(limit) - used, 1)]


def _in_machine() -> list[int]:
    try:
        lines = _MEMINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]


def _half_of_all() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf.
        return 0
