"""Files of images: NPY read plane by plane where it lies, NPZ image by image, in bounded memory.

An NPY file in C order is read at byte offsets rather than mapped, so that what has been read does
not count as memory of this process. A column-order or remote file is mapped or held instead.
"""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from calibcli.errors import InputError
from calibcli.io.failures import listing, reading, show
from calibcli.io.formats.npy import Header, _archive, _member, npz_headers, open_npy, read_header
from calibcli.io.images.pictures import KINDS, picture_header, pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calibcli.io.formats.source import Source

VOLUME = "CDHW"
LAYOUTS = ("NCHW", "NHWC", VOLUME)


@dataclass(frozen=True, slots=True)
class Shape:
    """The axes of a file of images.

    Attributes:
        images: How many; a file of one image has one.
        planes: Planes of an image: one a class, or None where an image has no such axis.
        height: Rows of pixels, of all slices; `width` pixels a row.
        depth: Slices of a volume, which lie one below the other; 1 of an image.
        last: Whether the planes are the last axis.
        single: Whether the file has no axis of images.
    """

    images: int
    planes: int | None
    height: int
    width: int
    last: bool = False
    single: bool = False
    depth: int = 1

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of one plane: (H, W), of a volume (D, H, W)."""
        flat = (self.height // self.depth, self.width)
        return flat if self.depth == 1 else (self.depth, *flat)

    @property
    def pixels(self) -> int:
        """Pixels of one image."""
        return self.height * self.width


@dataclass(frozen=True, slots=True, eq=False)
class ImageFile:
    """An array of images in a file: its header, and where it lies.

    Attributes:
        source: The file.
        header: Of the array.
        member: The name of the array in an NPZ file, else None.
    """

    source: Source
    header: Header
    member: str | None = None

    @property
    def name(self) -> str:
        """The file as it may be shown."""
        return show(self.source.name)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.header.shape

    @property
    def sequential(self) -> bool:
        """Whether images can be read in their order only."""
        return self.member is not None

    @contextmanager
    def reader(self, shape: Shape) -> Iterator[Reader]:
        """Open the file for reading blocks of image rows."""
        if self.member is not None:
            with ExitStack() as stack:
                archive = stack.enter_context(_archive(self.source))
                yield _Sequential(
                    stack.enter_context(_member(archive, self.member, self.source)), shape, self
                )
        elif self.source.kind in KINDS:
            yield _Whole(pixels(self.source, self.header), shape)
        elif self.header.fortran or self.source.data is not None or self.source.remote:
            yield _Whole(open_npy(self.source), shape)
        else:
            yield _Direct(self, shape)


class Reader(Protocol):
    """An open file of images."""

    def block(self, image: int, first: int, stop: int) -> NDArray[Any]:
        """Return image rows `first` to `stop`: (pixels,), or (planes, pixels)."""


@dataclass(frozen=True, slots=True)
class _Direct:
    file: ImageFile
    shape: Shape

    def block(self, image: int, first: int, stop: int) -> NDArray[Any]:
        shape, rows = self.shape, stop - first
        planes = shape.planes
        if planes is None:
            return self._read((image * shape.height + first) * shape.width, rows * shape.width)
        if shape.last:
            start = (image * shape.height + first) * shape.width * planes
            return self._read(start, rows * shape.width * planes).reshape(-1, planes).T
        found = np.empty((planes, rows * shape.width), self.file.header.dtype)
        for k in range(planes):
            start = ((image * planes + k) * shape.height + first) * shape.width
            found[k] = self._read(start, rows * shape.width)
        return found

    def _read(self, start: int, count: int) -> NDArray[Any]:
        header = self.file.header
        with reading(self.file.source.name, "NPY array"):
            found = np.fromfile(
                self.file.source.local,
                header.dtype,
                count,
                offset=header.offset + start * header.dtype.itemsize,
            )
            if len(found) != count:
                raise EOFError
        return found


@dataclass(frozen=True, slots=True)
class _Whole:
    array: NDArray[Any]
    shape: Shape

    def block(self, image: int, first: int, stop: int) -> NDArray[Any]:
        own = self.array if self.shape.single else self.array[image]
        return _cut(own, self.shape, first, stop)


@dataclass(slots=True)
class _Sequential:
    member: Any
    shape: Shape
    file: ImageFile
    at: int = -1
    held: NDArray[Any] | None = None

    def block(self, image: int, first: int, stop: int) -> NDArray[Any]:
        with reading(self.file.source.name, "NPZ file"):
            while self.at < image:
                self.held = self._next()
                self.at += 1
        assert self.held is not None
        return _cut(self.held, self.shape, first, stop)

    def _next(self) -> NDArray[Any]:
        header, shape = self.file.header, self.shape
        own = header.shape if shape.single else header.shape[1:]
        if header.fortran:  # no image is complete before the whole array is
            if self.held is None:
                content = np.frombuffer(self.member.file.read(), header.dtype)
                self.member.whole = content.reshape(header.shape, order="F")
            whole = self.member.whole
            return np.asarray(whole if shape.single else whole[self.at + 1])
        wanted = math.prod(own) * header.dtype.itemsize
        content = self.member.file.read(wanted)
        if len(content) != wanted:
            raise EOFError
        return np.frombuffer(content, header.dtype).reshape(own)


def _cut(image: NDArray[Any], shape: Shape, first: int, stop: int) -> NDArray[Any]:
    if shape.depth > 1:
        planes = () if shape.planes is None else (shape.planes,)
        flat = (shape.height, shape.width)
        image = image.reshape((*flat, *planes) if shape.last else (*planes, *flat))
    if shape.planes is None:
        return np.ascontiguousarray(image[first:stop]).reshape(-1)
    if shape.last:
        return np.ascontiguousarray(image[first:stop]).reshape(-1, shape.planes).T
    return np.ascontiguousarray(image[:, first:stop]).reshape(shape.planes, -1)


def open_images(source: Source, wanted: tuple[str, ...], role: str) -> ImageFile | None:
    """Read the header of a file of images; None where an NPZ file has no array of these names.

    Args:
        source: An NPY or NPZ file.
        wanted: Names that an array of this role has in an NPZ file, best first.
        role: "scores" or "labels", for messages.

    Raises:
        InputError: Another type of file, damage, or an NPZ file whose array cannot be told.
    """
    if source.kind == "npy":
        with reading(source.name, "NPY array"), source.open() as file:
            return ImageFile(source, read_header(file, source.size(), show(source.name)))
    if source.kind in KINDS:
        return ImageFile(source, picture_header(source, role))
    if source.kind != "npz":
        raise InputError(
            f"{show(source.name)} is no NPY, NPZ, PNG, TIFF, JPEG or NIfTI file, which images "
            "come as",
            hint="a table with one row a pixel: leave out --task segmentation, add --cluster IMAGE",
        )
    found = {name: one for name, one in npz_headers(source) if len(one.shape) >= 2}
    named = next((name for name in wanted if name in found), None)
    if named is None and len(found) == 1 and role == "scores":
        named = next(iter(found))
    if named is None and role == "scores":
        raise InputError(
            f"{show(source.name)} holds the arrays {listing(found) or 'none'}, and none is named "
            f"{listing(wanted)}",
            hint=f"np.savez(path, {wanted[0]}=…, labels=…)",
        )
    return None if named is None else ImageFile(source, found[named], named)


__all__ = ["LAYOUTS", "ImageFile", "Reader", "Shape", "open_images"]
