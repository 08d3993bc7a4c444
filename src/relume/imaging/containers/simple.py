"""GIF and BMP: the size is all there is to know."""

from __future__ import annotations

import struct

from relume.imaging.containers.header import Header, HeaderError
from relume.imaging.photo import Metadata


def read_gif(data: bytes) -> Header:
    """The logical screen. A first frame that reaches beyond it is refused by the decoder."""
    width, height = struct.unpack_from("<HH", data, 6)
    return Header(width, height)


def read_bmp(data: bytes) -> Header:
    """Size and resolution from either kind of header: OS/2's of 12 bytes, or Windows' of 40 and more."""
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    if header_bytes == 12:
        width, height = struct.unpack_from("<HH", data, 18)
        return Header(width, height)
    if header_bytes < 40:
        raise HeaderError("header too small")
    width, height = struct.unpack_from("<ii", data, 18)
    x, y = struct.unpack_from("<ii", data, 38)
    dpi = (x * 0.0254, y * 0.0254) if x > 0 and y > 0 else None
    return Header(width, abs(height), metadata=Metadata(dpi=dpi))
