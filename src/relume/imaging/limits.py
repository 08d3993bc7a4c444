"""How large a photo may be, and which formats are taken."""

from __future__ import annotations

from dataclasses import dataclass

from relume.imaging.photo import ImageFormat

MEGABYTE = 10**6


@dataclass(frozen=True, slots=True)
class Limits:
    """What one entry point accepts. The defaults are those of the mobile contract."""

    max_bytes: int = 15 * MEGABYTE
    max_width: int = 4096
    max_height: int = 4096
    formats: frozenset[ImageFormat] = frozenset(
        {ImageFormat.JPEG, ImageFormat.PNG, ImageFormat.WEBP, ImageFormat.HEIC}
    )


MOBILE = Limits()

WIDE = Limits(max_bytes=2_000 * MEGABYTE, max_width=16384, max_height=16384, formats=frozenset(ImageFormat))
"""For people at their own machine: every format, and inputs as large as our largest result."""
