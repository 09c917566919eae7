"""An NPY file of images written image by image, in the layout of the scores, or not at all."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibcli.errors import InputError
from calibcli.io.failures import writing
from calibcli.io.output.sink import AtomicFile

if TYPE_CHECKING:
    from calibcli.io.images.shapes import Pair


class ImageSink:
    """Takes images (planes, H, W) in order.

    Args:
        path: the file.
        index: the place of the scores among the files.
        pair: the scores, whose axes the output has.
        dtype: of the output.
        planes: of an image; None for an output without such an axis.
    """

    def __init__(
        self, path: str, index: int, pair: Pair, dtype: np.dtype[Any], planes: int | None
    ) -> None:
        self.path, self.index = path, index
        self.shape, self.dtype, self.planes = pair.shape, dtype, planes
        self.written = 0
        self._file = AtomicFile(path)
        axes = pair.shape.axes
        if planes is not None:
            axes = (*axes, planes) if pair.shape.last else (planes, *axes)
        elif _one_plane(pair):  # (N, 1, H, W) stays what it is
            axes = (*axes, 1) if _last(pair) else (1, *axes)
        if not pair.shape.single:
            axes = (pair.shape.images, *axes)
        head = BytesIO()
        np.lib.format.write_array_header_1_0(
            head, {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False,
                   "shape": axes}
        )  # fmt: skip
        with writing(path):
            self._file.file.write(head.getvalue())

    def write(self, image: NDArray[Any]) -> None:
        """Write one image."""
        data = image.astype(self.dtype, copy=False)
        if self.planes is not None and self.shape.last:
            data = data.transpose(1, 2, 0)
        with writing(self.path):
            self._file.file.write(np.ascontiguousarray(data).tobytes())
        self.written += 1

    def close(self) -> None:
        """Complete the file and give it its name."""
        if self.written != self.shape.images:
            self.abort()
            raise InputError(f"{self.path}: not all images were written", "try again")
        self._file.commit()

    def abort(self) -> None:
        """Leave everything as it was."""
        self._file.abort()


def _one_plane(pair: Pair) -> bool:
    return pair.shape.planes is None and len(pair.scores.shape) == (
        len(pair.shape.axes) + 2 - pair.shape.single
    )


def _last(pair: Pair) -> bool:
    return pair.scores.shape[-1] == 1 and pair.scores.shape[1 - pair.shape.single] != 1
