"""Where data lies on this machine, and how it gets there: a checksum on every archive, nothing kept that fails it."""

from __future__ import annotations

import os
from pathlib import Path

from nir_interop.errors import BadData

DATA_VARIABLE = "NIR_INTEROP_DATA"
"""The environment variable that names the data folder where no argument does."""

MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"

MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
"""The four archives of MNIST as their authors published them."""

_TIMEOUT = 30.0


def find_data(data_dir: Path | None = None) -> Path | None:
    """The folder that holds the data: the argument, else ``NIR_INTEROP_DATA``, else None (embedded or downloaded data).

    Raises BadData where the folder that was named is none.
    """
    named, by = (data_dir, "the data folder") if data_dir is not None else (_from_environment(), DATA_VARIABLE)
    if named is None:
        return None
    if not named.is_dir():
        raise BadData(f"{by} {str(named)!r} is not a folder; name the one that holds MNIST/ or NMNIST/, or name none")
    return named


def _from_environment() -> Path | None:
    value = os.environ.get(DATA_VARIABLE)
    return Path(value) if value else None


def cache_folder() -> Path:
    """The user's cache folder for downloaded data, as platformdirs places it."""
    from platformdirs import user_cache_path

    return user_cache_path("nir-interop") / "data"


def fetch(url: str, name: str, md5: str, folder: Path) -> Path:
    """A file in ``folder``, downloaded unless it lies there with the right checksum already.

    It appears under its name only when it is complete.  Raises BadData where it cannot be had.
    """
    import pooch

    wrong: list[str] = []

    def download(source: str, output: str, manager: object) -> None:
        pooch.HTTPDownloader(timeout=_TIMEOUT)(source, output, manager)
        found = str(pooch.file_hash(output, alg="md5"))
        if found != md5:
            wrong.append(found)

    try:
        return Path(pooch.retrieve(url, f"md5:{md5}", fname=name, path=folder, downloader=download))
    except (OSError, ValueError) as error:  # A failed request is an OSError, a wrong checksum a ValueError.
        reason = f"its MD5 is {wrong[0]}, not the published {md5}" if wrong else _reason(error)
        raise BadData(f"could not download {url}: {reason}; try again, or put the data in a folder and name it") from error


def _reason(error: Exception) -> str:
    """What went wrong, in a line without addresses of objects."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code}"
    kinds = {
        "ConnectTimeout": "the server does not answer",
        "ReadTimeout": "the server stopped answering",
        "ConnectionError": "no connection to the server",
        "ChunkedEncodingError": "the connection broke off",
    }
    name = type(error).__name__
    return kinds.get(name) or getattr(error, "strerror", None) or name


def fetch_mnist(train: bool, folder: Path | None = None, base_url: str = MNIST_URL) -> Path:
    """The folder with the two archives of one split of MNIST, downloaded where they are missing.

    folder : where they go; the user's cache by default
    base_url : the address that the archives' names are appended to

    Raises BadData where they cannot be had.
    """
    target = folder or cache_folder() / "MNIST" / "raw"
    for name, md5 in MNIST_MD5.items():
        if name.startswith("train" if train else "t10k"):
            fetch(f"{base_url.rstrip('/')}/{name}", name, md5, target)
    return target


def fetch_zip(url: str, name: str, md5: str, folder: Path, unpacked: str) -> Path:
    """The folder ``unpacked`` of a zip archive, downloaded and unpacked into ``folder`` where it is missing.

    It appears only when all of it is there.  Raises BadData where it cannot be had.
    """
    import tempfile
    import zipfile

    target = folder / unpacked
    if target.is_dir():
        return target
    archive = fetch(url, name, md5, folder)
    try:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(scratch)
            (Path(scratch) / unpacked).rename(target)
    except (OSError, zipfile.BadZipFile) as error:
        if not target.is_dir():  # Another process may have been faster.
            raise BadData(f"could not unpack {str(archive)!r}: {_reason(error)}; make room, or unpack it yourself") from error
    return target
