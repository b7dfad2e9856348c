"""npz files that lie about what they hold, or hold too much: refused in a line, before anything of their size is allocated."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nir_interop.errors import BadStimulus
from nir_interop.memory import allowed
from nir_interop.npz import MOST_DIRECTORY, Archive
from nir_interop.recording import Recording
from nir_interop.stimuli import load_output, load_stimulus

SHAPE = (2, 3)
HOW = "write it with numpy.savez"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.npz"


def npy(shape: str = "(5, 2, 2, 3)", dtype: str = "'<f4'", *, order: str = "False") -> bytes:
    text = f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def refused(path: Path, mention: str) -> None:
    """It is refused in one line, and without taking memory."""
    tracemalloc.start()
    try:
        with pytest.raises(BadStimulus, match=mention) as caught:
            load_stimulus(path, SHAPE)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 400 + len(str(path))


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_by_its_directory(path: Path) -> None:
    zeros = bytes(2**20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("input.npy", "w", force_zip64=True) as file:
        file.write(npy(f"({2**18}, 1, 2, 3)"))
        for _ in range(6):
            file.write(zeros)
    assert path.stat().st_size < 2**14
    with allowed(0.005):
        refused(path, r"which take 0.013 GiB, more than 0.005 GiB; .*--memory-limit 0.2 allows it")
    with allowed(0.2):
        assert load_stimulus(path, SHAPE).input.shape == (2**18, 1, 2, 3)


def test_a_directory_that_claims_more_than_the_file_can_hold_is_refused(path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("input.npy", npy("(500000, 1, 2, 3)") + bytes(1000))
    data = packed.getvalue()
    real = struct.pack("<L", len(npy("(500000, 1, 2, 3)")) + 1000)
    claimed = struct.pack("<L", len(npy("(500000, 1, 2, 3)")) + 4 * 3000000)
    assert data.count(real) == 2  # in the member's own header and in the directory
    path.write_bytes(data.replace(real, claimed))
    refused(path, "claims more bytes than the file can hold")


def test_an_array_that_is_there_twice_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("input.npy", npy() + bytes(240))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("input.npy", npy() + bytes(240))
    refused(path, "holds 'input' 2 times")


def test_a_directory_without_end_is_refused_before_it_is_read(path: Path) -> None:
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, MOST_DIRECTORY + 1, 0, 0)
    path.write_bytes(bytes(MOST_DIRECTORY + 1) + end)
    refused(path, "lists more arrays")
    zip64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, 2**40, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    path.write_bytes(zip64 + locator + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 2**32 - 1, 0, 0))
    refused(path, "lists more arrays")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_numpy_never_uses_is_refused(path: Path, method: int) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("input.npy", npy() + bytes(240))
    refused(path, "packed as numpy never does")


@pytest.mark.parametrize(
    ("header", "mention"),
    [
        (npy("(5, 2, 2, 3)", "'|O'"), "Python objects"),
        (npy("(5, 2, 2, 3)", "[('a', '<f4'), ('b', '|O')]"), "Python objects|records"),
        (npy("(5, 2, 2, 3)", "'<c8'"), "complex"),
        (npy("(5, 2, 2, 3)", "'<U8'"), "text"),
        (npy("(5, 2, 2, 3)", "'|V0'"), "records"),
        (npy(str((1,) * 60)), "60 axes"),
        (npy("(" * 2000 + ")" * 2000), "no array that can be read"),
        (npy("(5, 2, 2, 3, " + "1, " * 4000 + ")"), "no array that can be read"),
        (npy("5"), "no array that can be read"),
        (npy("(5.0, 2, 2, 3)"), "no array that can be read"),
        (npy("()"), "0 axes"),
        (npy("(99999999999999999999, 2, 2, 3)"), "elements, which take"),
        (npy(dtype="__import__('os').system('true')"), "no array that can be read"),
    ],
)
def test_a_header_that_no_input_has_is_refused(path: Path, header: bytes, mention: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("input.npy", header + bytes(240))
    refused(path, mention)


def test_a_pickle_is_never_loaded(path: Path, tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str, ...]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("input.npy", npy("()", "'|O'") + pickle.dumps(Payload()))
        archive.writestr("index.npy", npy("()", "'|O'") + pickle.dumps(Payload()))
        archive.writestr("output.npy", pickle.dumps(Payload()))
    with pytest.raises(BadStimulus):
        load_stimulus(path, SHAPE)
    with pytest.raises(BadStimulus):
        load_output(path, np.zeros((5, 2, 3), np.float32))
    with pytest.raises(BadStimulus):
        Recording.load(path)
    assert not (tmp_path / "ran").exists()


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    for path in (tmp_path / "pipe.npz", Path("/dev/zero"), Path("/dev/null"), tmp_path, tmp_path / "none", Path("")):
        with pytest.raises(BadStimulus, match="cannot be read"):
            load_stimulus(path, SHAPE)


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "|i1", ">u2", "|b1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_real_numbers_of_any_type_and_order_are_read(path: Path, dtype: str, order: str) -> None:
    values = (np.random.default_rng(0).random((5, 2, 2, 3)) > 0.5).astype(dtype)
    np.savez(path, input=np.asarray(values, order=order))
    with Archive(path, HOW) as archive:
        assert np.array_equal(archive.read(archive.first(("input",))), values)


def test_a_recording_whose_packed_spikes_are_not_of_the_shape_it_says_is_refused(path: Path) -> None:
    Recording({"a": np.ones((4, 1, 2), np.uint8)}).save(path)
    assert Recording.load(path).output.shape == (4, 1, 2)
    with np.load(path) as file:
        index, packed = str(file["index"]), file["a0"]
    for shape in ("[100000000, 1, 2]", "[-4, 1, 2]", '"x"', "[4.5]"):
        np.savez(path, index=np.array(index.replace("[4, 1, 2]", shape)), a0=packed)
        with pytest.raises(BadStimulus, match="not a recording"):
            Recording.load(path)
