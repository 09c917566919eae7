"""Images of other libraries: PNG, TIFF and JPEG by Pillow, NIfTI by nibabel (`calibcli[images]`).

A picture has one value a pixel; pages of a TIFF file are images. A NIfTI file is one volume, of
which the last of four axes are the classes.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.errors import InputError
from calibcli.io.failures import reading, show
from calibcli.io.formats.npy import Header

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from calibcli.io.formats.source import Source

KINDS = ("picture", "nifti")
_MODES = {"1": "?", "L": "u1", "P": "u1", "I;16": "<u2", "I;16B": ">u2", "I": "<i4", "F": "<f4"}
"""Types of Pillow's modes that have one value a pixel; of a palette that is its index."""


def picture_header(source: Source, role: str) -> Header:
    """Return what a file of pixels holds, as the header of the array that it is.

    Args:
        source: a picture or a NIfTI file.
        role: "scores" or "labels": scores of a volume always have an axis of classes.

    Raises:
        InputError: damage, colours, or a library that is not installed.
    """
    if source.kind == "nifti":
        volume = _volume(source)
        shape = tuple(int(size) for size in volume.shape)
        shape = (*shape[3:], *shape[:3]) if len(shape) == 4 and shape[3] > 1 else shape[:3]
        if role == "scores" and len(shape) == 3:
            shape = (1, *shape)
        kind = volume.get_data_dtype() if _unscaled(volume) else np.dtype(np.float64)
        return Header(kind, shape, fortran=False, offset=0)
    with _picture(source) as image:
        pages, size = getattr(image, "n_frames", 1), image.size[::-1]
        kind = _MODES.get(image.mode)
    if kind is None:
        raise InputError(
            f"{show(source.name)} has colours ({image.mode}), where a pixel is one value",
            hint="write class numbers, or one picture for each structure",
        )
    return Header(np.dtype(kind), size if pages == 1 else (pages, *size), fortran=False, offset=0)


def pixels(source: Source, header: Header) -> NDArray[Any]:
    """Return the array that a header of `picture_header` promises."""
    if source.kind == "nifti":
        volume = _volume(source)
        with reading(source.name, "NIfTI file"):
            values = np.asanyarray(volume.dataobj)
        moved: NDArray[Any] = np.moveaxis(values, 3, 0) if values.ndim == 4 else values
        return moved.reshape(header.shape)
    with _picture(source) as image:
        found = []
        for page in range(getattr(image, "n_frames", 1)):
            image.seek(page)
            found.append(np.asarray(image, dtype=header.dtype))
    return np.stack(found).reshape(header.shape)


@contextmanager
def _picture(source: Source) -> Iterator[Any]:
    try:
        from PIL import Image
    except ImportError as error:
        raise _not_installed(source) from error
    with reading(source.name, "image"), source.open() as file:
        try:
            with Image.open(file) as image:
                yield image
        except Image.DecompressionBombError as error:
            raise InputError(f"{show(source.name)} is too large a picture", "cut it") from error


def _volume(source: Source) -> Any:
    try:
        import nibabel
    except ImportError as error:
        raise _not_installed(source) from error
    if source.remote:
        raise InputError(f"{show(source.name)}: NIfTI is read from local files", "copy it here")
    with reading(source.name, "NIfTI file"):
        try:
            volume: Any = nibabel.load(source.local)
        except nibabel.filebasedimages.ImageFileError as error:
            raise InputError(f"{show(source.name)} is no NIfTI file", "write it again") from error
    if len(volume.shape) not in (3, 4):
        raise InputError(f"{show(source.name)} has the shape {volume.shape}", "three axes, or four")
    return volume


def _unscaled(volume: Any) -> bool:
    slope, inter = volume.dataobj.slope, volume.dataobj.inter
    return (slope, inter) == (1.0, 0.0)


def _not_installed(source: Source) -> InputError:
    return InputError(
        f"{show(source.name)} needs a library that is not installed",
        hint="pip install 'calibcli[images]', or write the images as NPY",
    )
