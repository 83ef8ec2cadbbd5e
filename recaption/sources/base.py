"""What every reader of shards shares: their fault, their limits, what counts as image and text."""

from __future__ import annotations

from collections.abc import Callable, Generator

from recaption.sample import Reason, Rejection, Sample, Stage
from recaption.text import printable

Wanted = Callable[[int], bool]
"""Says of an ordinal whether its sample is wanted; the others are passed over unread."""

Samples = Generator[Sample | None, None, None]
"""The samples of a shard in its own order; None stands for one that was not wanted."""

IMAGE_LIMIT = 256 << 20
"""Bytes above which an encoded image is not loaded but rejected."""

FIELD_LIMIT = 1 << 20
"""Bytes above which a text beside an image is left out."""

_IMAGES = (
    "jpg jpeg jpe jfif jif png apng webp gif bmp dib tif tiff avif avifs heic heics"
    " heif heifs hif mpo jxl jp2 j2k j2c jpc jpx jpf ppm pgm pbm pnm tga ico"
)
_TEXTS = "txt text caption captions cls json"
IMAGE_EXTENSIONS = frozenset(_IMAGES.split())
_RAW = (
    "3fr arw cr2 cr3 crw dcr dng erf iiq k25 kdc mef mos mrw nef nrw"
    " orf pef raf raw rw2 sr2 srf x3f"
)
_FOREIGN = {
    "jxr wdp hdp": "JPEG XR",
    "jls": "JPEG-LS",
    "psd psb": "Photoshop",
    "svg svgz": "SVG",
    "ai eps ": "PostScript",
    "exr": "OpenEXR",
    "hdr": "Radiance HDR",
    "dds": "DirectDraw",
    "xcf": "GIMP",
    "kra": "Krita",
    "djvu djv": "DjVu",
    "emf wmf": "Windows metafile",
    "pcx": "PCX",
    "sgi": "SGI",
    "dcm dicom": "DICOM",
    "fits": "FITS",
    "flif": "FLIF",
    "qoi": "QOI",
    "bpg": "BPG",
    "cur icns": "icon",
    "xbm xpm": "X bitmap",
    "jxs": "JPEG XS",
    _RAW: "camera raw",
}
FOREIGN_IMAGES = {
    extension: name
    for extensions, name in _FOREIGN.items()
    for extension in extensions.split()
    if extension not in IMAGE_EXTENSIONS
}
"""Images of kinds that are not read, by extension: rejected by their names, in any container."""

TEXT_EXTENSIONS = frozenset(_TEXTS.split())


# What is noted of images and texts in any container.
MASKS = "masks beside images (-masklabel, -condlabel), not captioned"
TOO_LONG = f"texts beside images left out: more than {FIELD_LIMIT:,} bytes"


class BrokenShard(ValueError):
    """A shard cannot be read on; the message names it, the place and the last good sample."""


def want_all(ordinal: int) -> bool:
    """Want every sample."""
    return True


def extension_of(name: str) -> str:
    """Return what follows the last dot of a file's name, in lower case, or ""."""
    return name.rpartition("/")[2].rpartition(".")[2].lower() if "." in name else ""


def rejected(
    sample_id: str, key: str, ordinal: int, reason: Reason, message: str, image_name: str = ""
) -> Sample:
    """Return the sample that could not be read."""
    rejection = Rejection(Stage.READ, reason, printable(message))
    return Sample(sample_id, key, ordinal, None, image_name=image_name, rejection=rejection)


def say_failed(name: str, error: Exception) -> str:
    """Say that something happened at a sample that nobody foresaw."""
    return f"{name} could not be read ({type(error).__name__}: {error})"


def say_foreign(name: str) -> str:
    """Say that an image is of a kind that is not read."""
    kind = FOREIGN_IMAGES[extension_of(name)]
    return f"{name} is an image of a kind that is not read ({kind}): convert it to JPEG or PNG"


def is_mask(name: str) -> bool:
    """Say whether an image's name is that of a mask beside an image, as OneTrainer writes them."""
    stem, _, extension = name.rpartition(".")
    return stem.endswith(("-masklabel", "-condlabel")) and extension.lower() in IMAGE_EXTENSIONS


def too_large(name: str, size: int) -> str:
    """Say that an image is over the limit."""
    return f"{name} has {size:,} bytes, more than the limit of {IMAGE_LIMIT:,}"
