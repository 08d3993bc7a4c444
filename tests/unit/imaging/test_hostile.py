"""Files made to break, to fill memory or to keep a decoder busy."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.images import corpus

from relume.errors import RelumeError
from relume.imaging.decode import decode, prove
from relume.imaging.limits import MOBILE, WIDE

MAX_GROWTH_MB = 450
"""For the largest mobile photo, 4096x4096 RGBA: Pillow's 67 MB, ours 67 MB, the rest is the decoder's."""

_CHILD = """
import psutil, resource, sys
from relume.errors import RelumeError
from relume.imaging.decode import decode
data = sys.stdin.buffer.read()
before = psutil.Process().memory_info().rss
try:
    photo = decode(data)
    outcome = f"{photo.width}x{photo.height}"
except RelumeError as error:
    outcome = type(error).__name__
if sys.platform == "linux":  # There ru_maxrss starts from the peak of the process that forked this one.
    status = open("/proc/self/status").read()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(outcome, max(peak - before, 0) // 10**6)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is told by the resource module")
@pytest.mark.parametrize("case", corpus.BOMBS, ids=str)
def test_memory_stays_bounded(case: corpus.Case) -> None:
    command = [sys.executable, "-c", _CHILD]
    child = subprocess.run(command, input=case.make(), capture_output=True, check=True, timeout=60)
    outcome, growth_mb = child.stdout.decode().split()
    assert outcome == (f"{case.size[0]}x{case.size[1]}" if case.error is None else case.error.__name__)
    assert int(growth_mb) < MAX_GROWTH_MB


@cache
def seed(format_: str) -> bytes:
    options = {"exif": corpus.EXIF_PREFIX + corpus.exif_block(6)} if format_ not in {"GIF", "BMP"} else {}
    return corpus.encoded(format_, 24, 16, **options)


FORMATS = st.sampled_from(["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "GIF", "BMP"])


def decodes_or_refuses(data: bytes) -> None:
    try:
        photo = decode(data, WIDE)
    except RelumeError as refusal:
        with pytest.raises(type(refusal)):
            prove(data, WIDE)
        return
    prove(data, WIDE)
    assert photo.pixels.ndim == 3
    assert photo.pixels.shape[2] in {1, 3}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FORMATS, st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=12))
def test_changed_bytes_never_surprise(format_: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(seed(format_))
    for position, value in changes:
        data[position % len(data)] = value
    decodes_or_refuses(bytes(data))


@settings(max_examples=150, deadline=None)
@given(FORMATS, st.floats(0, 1), st.binary(max_size=40))
def test_cut_files_never_surprise(format_: str, share: float, tail: bytes) -> None:
    data = seed(format_)
    decodes_or_refuses(data[: int(len(data) * share)] + tail)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
@example(b"\xff\xd8\xff")
@example(b"MM\0*\0\0\0\x08")
@example(b"BM" + bytes(12) + b"\x28\0\0\0")
@example(b"\0\0\0\x10ftypmif1\0\0\0\0")
def test_random_bytes_never_surprise(data: bytes) -> None:
    decodes_or_refuses(data)


def test_threads_do_not_disturb_each_other() -> None:
    cases = [case for case in (*corpus.HANDLED, *corpus.REFUSED) if "MB" not in case.name]
    files = [case.make() for case in cases] * 2

    def outcome(data: bytes) -> str:
        try:
            return decode(data, MOBILE).pixels.tobytes().hex()[:200]
        except RelumeError as error:
            return error.detail

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(outcome, files)) == [outcome(data) for data in files]


def test_pixels_are_not_shared_with_the_file() -> None:
    data = bytearray(corpus.encoded("BMP"))
    photo = decode(bytes(data), WIDE)
    before = photo.pixels.copy()
    data[200:] = bytes(len(data) - 200)
    assert np.array_equal(photo.pixels, before)


def test_importing_loads_no_codec() -> None:
    code = "import sys, relume.imaging.photo; sys.exit('PIL' in sys.modules or 'cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_heic_library_is_loaded_when_needed() -> None:
    code = "import sys, relume.imaging.decode; sys.exit('pillow_heif' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
