"""A reader of PyTorch state dicts (.pth), which hold published weights, without PyTorch.

It reads both formats of `torch.save`: the zip archive of PyTorch 1.6 and later, and the older sequence of pickles, in
which the ImageNet weights of 2020 are published. A pickle can run any code, so the unpickler accepts only the few names
that a dict of plain tensors needs.
"""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from stream_detect.errors import TrainingError

StateDict = dict[str, NDArray[np.generic]]
"""Arrays by parameter name, in PyTorch's shapes: a convolution's kernel is (out, in, h, w)."""

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
_MAX_VALUES = 1 << 30
"""Maximum number of values in a storage, so that a damaged file cannot request all the memory."""

_Read = Callable[[str, str, int], NDArray[np.generic]]
"""Reads a storage, given its key, dtype and number of values; returns its values, (n,)."""


@dataclass(frozen=True, slots=True)
class _Tensor:
    """Description of a tensor: a view of a storage, whose values may follow later in the file.

    Args:
        storage: key of the storage.
        offset: index of its first value.
        shape: its shape.
        strides: strides in values, for each axis.
    """

    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Reads a dict of plain tensors, and records the storages that they view."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self.storages: dict[str, tuple[str, int]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _described
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is not part of a state dict")

    def persistent_load(self, pid: Any) -> str:
        kind, dtype, key, _, values = pid[:5]
        if kind != "storage" or dtype not in _DTYPES.values() or not 0 <= int(values) <= _MAX_VALUES:
            raise pickle.UnpicklingError(f"{pid!r} is not a storage of a state dict")
        if len(pid) > 5 and pid[5] is not None:
            raise pickle.UnpicklingError("views of views are not read")
        self.storages[str(key)] = (dtype, int(values))
        return str(key)


def _described(storage: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _Tensor:
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def read_state_dict(file: Path, part: str | None = None) -> StateDict:
    """Reads the tensors of a .pth file, by name.

    Args:
        file: written by `torch.save` from a state dict, or from a dict that contains one.
        part: key of the state dict in a larger dict, such as a training checkpoint; None if the file is the state dict.

    Raises:
        TrainingError: the file is missing, damaged, or contains something other than a dict of tensors.
    """
    try:
        with file.open("rb") as stream:
            found = _read_zip(stream) if zipfile.is_zipfile(stream) else _read_pickles(stream)
    except OSError as error:
        raise TrainingError(
            f"expected PyTorch weights at {file}, but it cannot be read: {error.strerror or error}"
        ) from error
    except (
        pickle.UnpicklingError, zipfile.BadZipFile, struct.error, ValueError, TypeError, KeyError, IndexError,
        AttributeError, EOFError, ImportError, OverflowError,
    ) as error:  # fmt: skip # all that a damaged pickle can end in
        raise TrainingError(
            f"expected a state dict written by torch.save at {file}, but it cannot be read: {error}; download it again"
        ) from error
    if part is not None:
        found = found.get(part) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping) or not found or not all(isinstance(each, np.ndarray) for each in found.values()):
        what = f"a state dict named {part!r}" if part else "a state dict (parameter names with tensors)"
        raise TrainingError(f"expected {what} in {file}, received another object")
    return {str(name): value for name, value in found.items()}


def _read_zip(stream: BinaryIO) -> Any:
    with zipfile.ZipFile(stream) as archive:
        (pickled,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        folder = pickled.removesuffix("data.pkl")

        def read(key: str, dtype: str, values: int) -> NDArray[np.generic]:
            return np.frombuffer(archive.read(f"{folder}data/{key}"), dtype, values)

        unpickler = _Unpickler(io.BytesIO(archive.read(pickled)))
        return _filled(unpickler.load(), unpickler.storages, read)


def _read_pickles(stream: BinaryIO) -> Any:
    stream.seek(0)
    if _Unpickler(stream).load() != _MAGIC or _Unpickler(stream).load() != _PROTOCOL:
        raise pickle.UnpicklingError("its first bytes are not those of torch.save")
    if not _Unpickler(stream).load()["little_endian"]:
        raise pickle.UnpicklingError("it was written on a big-endian machine")
    unpickler = _Unpickler(stream)
    described = unpickler.load()
    read: dict[str, NDArray[np.generic]] = {}
    for key in _Unpickler(stream).load():
        dtype, values = unpickler.storages[str(key)]
        (stated,) = struct.unpack("<q", stream.read(8))
        size = values * np.dtype(dtype).itemsize
        content = stream.read(size)
        if stated != values or len(content) != size:
            raise pickle.UnpicklingError(f"storage {key} does not have the expected {values:,} values")
        read[str(key)] = np.frombuffer(content, dtype)
    return _filled(described, unpickler.storages, lambda key, _dtype, _values: read[key])


def _filled(described: Any, storages: Mapping[str, tuple[str, int]], read: _Read) -> Any:
    """Replaces each described tensor by an array, also in nested dicts."""
    if isinstance(described, _Tensor):
        dtype, values = storages[described.storage]
        return _array(described, read(described.storage, dtype, values))
    if isinstance(described, Mapping):
        return {key: _filled(value, storages, read) for key, value in described.items()}
    return described


def _array(tensor: _Tensor, values: NDArray[np.generic]) -> NDArray[np.generic]:
    last = tensor.offset + sum((side - 1) * step for side, step in zip(tensor.shape, tensor.strides, strict=True))
    if tensor.offset < 0 or min(tensor.strides, default=0) < 0 or min(tensor.shape, default=0) < 0:
        raise ValueError("a tensor with a negative side, stride or offset")
    if 0 not in tensor.shape and last >= len(values):
        raise ValueError(f"a tensor of {tensor.shape} lies outside its storage of {len(values):,} values")
    strides = tuple(step * values.itemsize for step in tensor.strides)
    view = np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides, writeable=False)
    return np.ascontiguousarray(view).reshape(tensor.shape)
