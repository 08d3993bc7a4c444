"""What a file is and how large its photo is: told by content, read from the header, no pixel allocated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from relume.errors import ImageDimensions, ImageMissing, ImageTooLarge, ImageUnreadable, UnsupportedFormat
from relume.imaging.containers import heif, jpeg, png, simple, tiff, webp
from relume.imaging.containers.header import Header
from relume.imaging.limits import MEGABYTE, MOBILE, WIDE, Limits
from relume.imaging.metadata import upright_metadata
from relume.imaging.photo import ImageFormat

FORMAT_NAMES = {format_: format_.name for format_ in ImageFormat} | {ImageFormat.WEBP: "WebP"}

_READERS: dict[ImageFormat, Callable[[bytes], Header]] = {
    ImageFormat.JPEG: jpeg.read,
    ImageFormat.PNG: png.read,
    ImageFormat.WEBP: webp.read,
    ImageFormat.HEIC: heif.read_heic,
    ImageFormat.AVIF: heif.read_avif,
    ImageFormat.TIFF: tiff.read,
    ImageFormat.GIF: simple.read_gif,
    ImageFormat.BMP: simple.read_bmp,
}
_BMP_HEADER_BYTES = frozenset({12, 40, 52, 56, 64, 108, 124})

_OTHER_MAGIC = (
    (b"%PDF", "a PDF document"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"8BPS", "a Photoshop file"),
    (b"II+\0", "a BigTIFF image"),
    (b"MM\0+", "a BigTIFF image"),
    (b"\0\0\1\0", "an icon"),
    (b"FUJIFILM", "a camera raw file"),
    (b"IIRO", "a camera raw file"),
    (b"IIU\0", "a camera raw file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1a\x45\xdf\xa3", "a video"),
)


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """A photo's format and its size in pixels, upright."""

    format: ImageFormat
    width: int
    height: int


def inspect(data: bytes, limits: Limits = MOBILE) -> ImageInfo:
    """Check a file against the limits without decoding it.

    Raises ImageMissing, ImageTooLarge, UnsupportedFormat, ImageDimensions or ImageUnreadable.
    """
    format_, header = examine(data, limits)
    width, height = _upright(header)
    return ImageInfo(format_, width, height)


def is_settled(data: bytes) -> bool:
    """Whether a JPEG already is what its own result would be: upright, no thumbnail, grey or RGB.

    Such a file can be handed on byte for byte, which spares it another lossy compression.
    """
    format_, header = examine(data, WIDE)
    is_as_kept = upright_metadata(header.metadata, keep_profile=True) == header.metadata
    return format_ is ImageFormat.JPEG and header.orientation == 1 and header.channels < 4 and is_as_kept


def examine(data: bytes, limits: Limits) -> tuple[ImageFormat, Header]:
    """The format and everything the header says. Raises as `inspect` does."""
    if not data:
        raise ImageMissing("No photo was sent, or the file is empty.")
    if len(data) > limits.max_bytes:
        sent, allowed = _megabytes(len(data)), _megabytes(limits.max_bytes)
        raise ImageTooLarge(f"The photo has {sent} MB; at most {allowed} MB are allowed.")
    format_ = _recognise(data)
    if format_ is None or format_ not in limits.formats:
        raise UnsupportedFormat(f"{_describe(data, format_)} Please send a {_listed(limits.formats)} photo.")
    try:
        header = _READERS[format_](data)
    except Exception as exc:  # Hostile bytes make a parser raise whatever it comes across.
        raise unreadable(format_) from exc
    _check_size(format_, header, limits)
    return format_, header


def unreadable(format_: ImageFormat) -> ImageUnreadable:
    name = FORMAT_NAMES[format_]
    return ImageUnreadable(f"The {name} photo is damaged or incomplete and cannot be opened.")


def _check_size(format_: ImageFormat, header: Header, limits: Limits) -> None:
    width, height = _upright(header)
    if width < 1 or height < 1:
        raise unreadable(format_)
    if width > limits.max_width or height > limits.max_height:
        raise ImageDimensions(
            f"The photo has {width} x {height} pixels; "
            f"at most {limits.max_width} x {limits.max_height} are allowed."
        )


def _upright(header: Header) -> tuple[int, int]:
    is_turned = header.orientation >= 5
    return (header.height, header.width) if is_turned else (header.width, header.height)


def _recognise(data: bytes) -> ImageFormat | None:
    if data.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG
    if data.startswith(png.MAGIC):
        return ImageFormat.PNG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ImageFormat.WEBP
    if data[:6] in {b"GIF87a", b"GIF89a"}:
        return ImageFormat.GIF
    if data[:4] in {b"II*\0", b"MM\0*"} and data[8:10] != b"CR":  # Canon's CR2 is a TIFF of another kind.
        return ImageFormat.TIFF
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADER_BYTES:
        return ImageFormat.BMP
    codec = heif.codec(data)
    return ImageFormat(codec) if codec else None


def _describe(data: bytes, format_: ImageFormat | None) -> str:
    """A sentence on what was sent instead."""
    if format_ is not None:
        return f"The photo is a {FORMAT_NAMES[format_]} file, which is not accepted here."
    kind = next((name for magic, name in _OTHER_MAGIC if data.startswith(magic)), None) or _guess(data)
    return f"The file is {kind}." if kind else "The file is no photo in a format we know."


def _guess(data: bytes) -> str | None:
    if data[4:8] == b"ftyp":
        return "a video or an unknown kind of HEIF"
    if data[:2] in {b"II", b"MM"} and data[8:10] == b"CR":
        return "a camera raw file"
    start = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in start:
        return "an SVG drawing"
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    is_text = not any(byte < 9 or 13 < byte < 32 for byte in data[:1024])
    return "text, not a photo" if is_text and _is_utf8(data[:1024]) else None


def _is_utf8(start: bytes) -> bool:
    """Whether it decodes, allowing for a character cut at the end."""
    text = start.decode("utf-8", "replace")
    return "\N{REPLACEMENT CHARACTER}" not in text[:-1]


def _listed(formats: frozenset[ImageFormat]) -> str:
    names = [FORMAT_NAMES[format_] for format_ in ImageFormat if format_ in formats]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _megabytes(size_bytes: int) -> str:
    """Rounded up to a tenth, so that a file just above the limit never reads as the limit."""
    tenths = -(-size_bytes * 10 // MEGABYTE)
    return f"{tenths // 10}.{tenths % 10}" if tenths % 10 else str(tenths // 10)
