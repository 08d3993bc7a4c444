"""Photos in and out: what a file is, its pixels, its metadata, and how two photos compare.

limits.py      how large a photo may be, and which formats are taken
inspect.py     bytes → format and size, from the header alone
decode.py      bytes → Photo
encode.py      Photo → bytes
metadata.py    what is kept, reset and dropped of EXIF, ICC and XMP
provenance.py  the XMP note that says AI took part
compare.py     PSNR, SSIM, fidelity
containers/    one small reader per file format; Pillow and OpenCV see pixels only

Nothing is imported here, so that `relume.imaging.photo` costs no codec.
"""
