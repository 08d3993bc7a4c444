"""One small reader per container: size, orientation and metadata from the bytes, without decoding pixels.

The readers are ours so that three things hold: no pixel is allocated before the size is known; a broken
EXIF, ICC or XMP block is dropped instead of failing the photo; and what the decoders see is the pixel
data alone, so that none of them applies gamma, colour or orientation behind our back.

A reader raises when the file cannot be what its magic says: `HeaderError`, or whatever parsing hostile
bytes leads to. Its one caller, `inspect.examine`, translates that.
"""
