from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nir_interop.datasets import find_data, load_mnist
from nir_interop.datasets.idx import read_idx
from nir_interop.errors import BadData

IMAGES = "MNIST/raw/train-images-idx3-ubyte"
LABELS = "MNIST/raw/train-labels-idx1-ubyte"


def test_the_real_mnist_has_its_published_sizes_and_first_labels(real_data: Path) -> None:
    train, test = load_mnist(True, real_data), load_mnist(False, real_data)
    assert (train.images.shape, test.images.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert train.images.mean() == pytest.approx(0.1307, abs=1e-4)
    assert train.images.dtype == np.float32


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("layout", ["MNIST/raw", "raw", "."])
def test_mnist_is_found_in_every_layout_gzipped_or_not(write_mnist: Callable[..., Path], layout: str, gzipped: bool) -> None:
    folder = write_mnist(layout, gzipped)
    assert load_mnist(True, folder).images.shape == (7, 28, 28)
    assert load_mnist(False, folder).labels.tolist() == [0, 1, 2]


def test_the_environment_variable_names_the_folder(write_mnist: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_mnist()
    monkeypatch.setenv("NIR_INTEROP_DATA", str(folder))
    assert len(load_mnist(True)) == 7


def test_an_argument_goes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_data() is None
    monkeypatch.setenv("NIR_INTEROP_DATA", str(tmp_path / "nowhere"))
    assert find_data(tmp_path) == tmp_path
    with pytest.raises(BadData, match=r"NIR_INTEROP_DATA '.*nowhere' is not a folder"):
        find_data()
    with pytest.raises(BadData, match=r"data folder '.*elsewhere' is not a folder"):
        find_data(tmp_path / "elsewhere")


def _damaged(content: bytes, how: str) -> bytes:
    return {
        "empty": b"",
        "wrong magic": b"\x00\x00\x0d\x03" + content[4:],
        "labels instead": b"\x00\x00\x08\x01" + content[4:],
        "cut header": content[:9],
        "cut values": content[:-100],
        "too long": content + b"\0",
        "huge": content[:4] + struct.pack(">3I", 10**6, 10**3, 10**3) + content[16:],
        "no images": content[:4] + struct.pack(">3I", 0, 28, 28),
        "other size": content[:4] + struct.pack(">3I", 7, 14, 56) + content[16:],
    }[how]


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("empty", "is not an idx file of 3 axes"),
        ("wrong magic", "starts with 00000d03, not 00000803"),
        ("labels instead", "starts with 00000801, not 00000803"),
        ("cut header", "ends within its header"),
        ("cut values", "truncated: 5388 of 5488 values"),
        ("too long", "goes on after its 5488 values"),
        ("huge", "declares 1000000000000 values"),
        ("no images", "declares 0 values"),
        ("other size", "14 × 56 pixels"),
    ],
)
def test_a_damaged_image_file_is_named_in_one_line(
    write_mnist: Callable[..., Path], how: str, message: str, gzipped: bool
) -> None:
    folder = write_mnist(gzipped=gzipped)
    path = folder / (f"{IMAGES}.gz" if gzipped else IMAGES)
    content = _damaged(gzip.decompress(path.read_bytes()) if gzipped else path.read_bytes(), how)
    path.write_bytes(gzip.compress(content) if gzipped else content)
    with pytest.raises(BadData, match=message) as caught:
        load_mnist(True, folder)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_gzip_is_bad_data(write_mnist: Callable[..., Path]) -> None:
    folder = write_mnist(gzipped=True)
    path = folder / f"{IMAGES}.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadData, match="truncated or damaged gzip"):
        load_mnist(True, folder)
    path.write_bytes(gzip.decompress(whole))
    with pytest.raises(BadData, match="is not gzip"):
        load_mnist(True, folder)
    path.write_bytes(whole[:200] + bytes(200) + whole[400:])
    with pytest.raises(BadData, match="gz"):
        load_mnist(True, folder)


def test_images_and_labels_that_are_not_as_many_are_bad_data(write_mnist: Callable[..., Path]) -> None:
    folder = write_mnist()
    (folder / LABELS).write_bytes((folder / LABELS.replace("train", "t10k")).read_bytes())
    with pytest.raises(BadData, match=r"7 images, but .* 3 labels"):
        load_mnist(True, folder)


def test_a_label_beyond_nine_is_bad_data(write_mnist: Callable[..., Path]) -> None:
    folder = write_mnist()
    path = folder / LABELS
    path.write_bytes(path.read_bytes()[:-1] + b"\x0b")
    with pytest.raises(BadData, match="label 11"):
        load_mnist(True, folder)


def test_missing_files_are_named_with_where_they_were_looked_for(tmp_path: Path, write_mnist: Callable[..., Path]) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadData, match=r"train-images-idx3-ubyte\[.gz\].*MNIST/raw, in raw.*downloaded"):
        load_mnist(True, tmp_path / "empty")
    folder = write_mnist()
    (folder / LABELS).unlink()
    with pytest.raises(BadData, match=r"partial: .* has no train-labels-idx1-ubyte"):
        load_mnist(True, folder)


def test_an_unreadable_file_is_bad_data(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="cannot be read"):
        read_idx(tmp_path / "nothing", axes=1)
