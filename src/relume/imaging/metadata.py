"""What is kept of a file's metadata, and how little of it is touched.

EXIF   orientation 1 (the pixels are upright), thumbnail erased, size tags follow the pixels when encoded
XMP    `tiff:Orientation` 1, `xmp:Thumbnails` removed
ICC    kept while it fits the number of channels

Everything else stays byte for byte: GPS, dates, maker notes, edit histories, other properties. EXIF and
profiles that cannot be read are dropped; none of the three ever fails a photo.
"""

from __future__ import annotations

import re

from relume.imaging.containers.exif import resized_exif, upright_exif
from relume.imaging.photo import Metadata, Photo

_ICC_SPACES = {1: b"GRAY", 3: b"RGB "}  # by channels
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s{0,8}=\s{0,8}[\"']|>)\s{0,8})[2-8](?=\s{0,8}[\"'<])")


def upright_metadata(found: Metadata, *, keep_profile: bool) -> Metadata:
    """The metadata of a file whose pixels have been turned upright."""
    return Metadata(
        exif=upright_exif(found.exif),
        icc_profile=found.icc_profile if keep_profile and _icc_space(found.icc_profile) else None,
        xmp=_upright_xmp(found.xmp),
        dpi=found.dpi,
    )


def metadata_to_write(photo: Photo) -> Metadata:
    """What goes into the encoded file: sizes as they are now, no profile that does not fit the channels."""
    found = photo.metadata
    space = _ICC_SPACES[photo.pixels.shape[2]]
    return Metadata(
        exif=resized_exif(found.exif, photo.width, photo.height),
        icc_profile=found.icc_profile if _icc_space(found.icc_profile) == space else None,
        xmp=found.xmp,
        dpi=found.dpi,
    )


def _icc_space(profile: bytes | None) -> bytes | None:
    """The colour space a profile describes (ICC.1, 7.2), or None when it is no whole profile."""
    if profile is None or len(profile) < 128 or profile[36:40] != b"acsp":
        return None
    return profile[16:20] if int.from_bytes(profile[:4]) <= len(profile) else None


def _upright_xmp(xmp: bytes | None) -> bytes | None:
    if not xmp:
        return None
    for prefix in (b"xmp", b"xap"):
        xmp = _without_element(xmp, prefix + b":Thumbnails")
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def _without_element(xmp: bytes, name: bytes) -> bytes:
    """Cut the first element of that name; XMP allows a property only once."""
    start, closing = xmp.find(b"<" + name), b"</" + name + b">"
    end = xmp.find(closing, start)
    return xmp[:start] + xmp[end + len(closing) :] if 0 <= start < end else xmp
