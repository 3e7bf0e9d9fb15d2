"""Reading PyTorch state dicts without PyTorch: both layouts; everything else is refused with the file's name."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from stream_detect.errors import TrainingError
from stream_detect.training.torch_weights import read_state_dict

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
KERNEL = np.arange(24, dtype="<f4").reshape(2, 3, 4)
COUNT = np.array([7], "<i8")


class Global:
    """Stands for a name in a pickle, such as torch.FloatStorage."""

    def __init__(self, module, name):
        self.place = (module, name)


class Storage:
    """Stands for a persistent id."""

    def __init__(self, kind, key, values):
        self.pid = ("storage", Global("torch", kind), key, "cpu", values)


class Tensor:
    """Pickled like a PyTorch tensor."""

    def __init__(self, storage, offset, shape, strides):
        self.given = (storage, offset, shape, strides, False, OrderedDict())


class Pickler(pickle._Pickler):
    """Writes these three like `torch.save`; Python's C pickler cannot write arbitrary names."""

    def persistent_id(self, obj):
        return (*obj.pid, None)[: self.pid_length] if isinstance(obj, Storage) else None

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            module, name = obj.place
            self.write(b"c" + f"{module}\n{name}\n".encode())
        elif isinstance(obj, Tensor):
            self.save(Global("torch._utils", "_rebuild_tensor_v2"))
            self.save(obj.given)
            self.write(b"R")
        else:
            super().save(obj, save_persistent_id)


def pickled(obj, *, pid_length=5):
    stream = io.BytesIO()
    pickler = Pickler(stream, 2)
    pickler.pid_length = pid_length
    pickler.dump(obj)
    return stream.getvalue()


def state(**changes):
    kernel = Tensor(Storage("FloatStorage", "0", 24), 0, (2, 3, 4), (12, 4, 1))
    turned = Tensor(Storage("FloatStorage", "0", 24), 12, (4, 3), (1, 4))
    count = Tensor(Storage("LongStorage", "1", 1), 0, (), ())
    return OrderedDict({"kernel": kernel, "turned": turned, "count": count} | changes)


def sequence(obj, keys=("0", "1"), contents=(KERNEL, COUNT)):
    """The layout before PyTorch 1.6."""
    head = [MAGIC, PROTOCOL, {"protocol_version": PROTOCOL, "little_endian": True}]
    body = b"".join(struct.pack("<q", content.size) + content.tobytes() for content in contents)
    return b"".join(pickle.dumps(each, 2) for each in head) + pickled(obj, pid_length=6) + pickle.dumps(keys, 2) + body


def archive(obj, contents=(KERNEL, COUNT)):
    """The layout since PyTorch 1.6."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("name/data.pkl", pickled(obj))
        for key, content in enumerate(contents):
            made.writestr(f"name/data/{key}", content.tobytes())
    return stream.getvalue()


@pytest.fixture(params=[sequence, archive])
def layout(request):
    return request.param


def written(folder, content):
    file = folder / "w.pth"
    file.write_bytes(content)
    return file


def test_tensors_come_with_their_shapes_strides_and_offsets(layout, tmp_path):
    read = read_state_dict(written(tmp_path, layout(state())))
    assert list(read) == ["kernel", "turned", "count"]
    assert np.array_equal(read["kernel"], KERNEL)
    assert np.array_equal(read["turned"], KERNEL[1].T)
    assert read["count"].shape == ()
    assert read["count"] == 7


def test_a_part_of_a_checkpoint_can_be_named(layout, tmp_path):
    file = written(tmp_path, layout({"model": state(), "step": 3}))
    assert np.array_equal(read_state_dict(file, "model")["kernel"], KERNEL)
    with pytest.raises(TrainingError, match=r"a state dict named 'ema' in .*w\.pth"):
        read_state_dict(file, "ema")
    with pytest.raises(TrainingError, match=r"expected a state dict .*w\.pth, received another object"):
        read_state_dict(file)


@pytest.mark.parametrize("name", [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("numpy", "ndarray")])
def test_a_name_that_no_state_dict_needs_is_never_looked_up(layout, tmp_path, name):
    file = written(tmp_path, layout({"kernel": Global(*name)}))
    with pytest.raises(TrainingError, match=rf"w\.pth.*{name[0]}\.{name[1]} is not part of a state dict"):
        read_state_dict(file)


@pytest.mark.parametrize(
    "wrong",
    [
        Tensor(Storage("FloatStorage", "0", 24), 0, (2, 3, 5), (15, 5, 1)),
        Tensor(Storage("FloatStorage", "0", 24), -4, (2,), (1,)),
        Tensor(Storage("FloatStorage", "0", 24), 0, (2,), (-1,)),
        Tensor(Storage("FloatStorage", "0", 1 << 40), 0, (2,), (1,)),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(layout, tmp_path, wrong):
    with pytest.raises(TrainingError, match=r"w\.pth, but it cannot be read"):
        read_state_dict(written(tmp_path, layout(state(kernel=wrong))))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_file_cut_short_is_reported(layout, tmp_path, share):
    content = layout(state())
    with pytest.raises(TrainingError, match=r"w\.pth"):
        read_state_dict(written(tmp_path, content[: int(share * len(content))]))


def test_files_of_other_kinds_and_absent_ones_are_reported(tmp_path):
    for content in (b"no weights", pickle.dumps({"a": 1}), sequence({"kernel": 3}), archive([1, 2])):
        with pytest.raises(TrainingError, match=r"w\.pth"):
            read_state_dict(written(tmp_path, content))
    with pytest.raises(TrainingError, match=r"PyTorch weights at .*absent\.pth, but it cannot be read: No such file"):
        read_state_dict(tmp_path / "absent.pth")
