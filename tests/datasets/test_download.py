from __future__ import annotations

import gzip
import hashlib
import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nir_interop.datasets import download, load_mnist
from nir_interop.datasets.download import MNIST_MD5, fetch, fetch_mnist, fetch_zip
from nir_interop.errors import BadData

NAME = "train-labels-idx1-ubyte.gz"


class Server:
    """Serves files by name; a name may break off in the middle, and every request is counted."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.broken: set[str] = set()
        self.requests: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.lstrip("/")
                server.requests.append(name)
                if name not in server.files:
                    self.send_error(404)
                    return
                content = server.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if name in server.broken else content)

            def log_message(self, *arguments: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Server:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(download, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def published(server: Server, small_mnist: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The small files on the server, as if theirs were the published checksums."""
    server.files = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in small_mnist.items()}
    sums = {name: hashlib.md5(content).hexdigest() for name, content in server.files.items()}
    monkeypatch.setattr(download, "MNIST_MD5", sums)
    return sums


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


def test_the_checksums_are_those_of_the_real_archives(real_data: Path) -> None:
    for name, md5 in MNIST_MD5.items():
        assert hashlib.md5((real_data / "MNIST" / "raw" / name).read_bytes()).hexdigest() == md5


def test_mnist_is_downloaded_once_and_read_from_the_cache_afterwards(
    server: Server, cache: Path, published: dict[str, str]
) -> None:
    assert load_mnist(False, base_url=server.url).labels.tolist() == [0, 1, 2]
    assert sorted(server.requests) == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    assert load_mnist(False, base_url=server.url).images.shape == (3, 28, 28)
    assert len(server.requests) == 2
    assert _left(cache) == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]


def test_the_cache_is_the_users_own_by_default() -> None:
    assert download.cache_folder().parts[-2:] == ("nir-interop", "data")


def test_a_damaged_file_in_the_cache_is_downloaded_again(server: Server, tmp_path: Path, published: dict[str, str]) -> None:
    (tmp_path / NAME).write_bytes(b"half")
    fetch_mnist(True, tmp_path, server.url)
    assert (tmp_path / NAME).read_bytes() == server.files[NAME]


def test_a_wrong_checksum_keeps_nothing(server: Server, tmp_path: Path) -> None:
    server.files[NAME] = b"something else"
    with pytest.raises(
        BadData, match=f"MD5 is {hashlib.md5(b'something else').hexdigest()}, not the published d53e105e"
    ) as caught:
        fetch(server.url + NAME, NAME, MNIST_MD5[NAME], tmp_path / "raw")
    assert "\n" not in str(caught.value)
    assert _left(tmp_path) == []


def test_a_file_that_is_not_there_is_said_so(server: Server, tmp_path: Path) -> None:
    with pytest.raises(BadData, match=f"could not download {server.url}{NAME}: the server answered 404; "):
        fetch(server.url + NAME, NAME, MNIST_MD5[NAME], tmp_path / "raw")
    assert _left(tmp_path) == []


def test_a_server_that_is_down_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    with pytest.raises(BadData, match="no connection to the server"):
        fetch_mnist(True, tmp_path / "raw", url)
    assert _left(tmp_path) == []


def test_a_download_that_breaks_off_keeps_nothing(server: Server, tmp_path: Path, published: dict[str, str]) -> None:
    server.broken.add("train-images-idx3-ubyte.gz")
    with pytest.raises(BadData, match=r"could not download .*train-images-idx3-ubyte.gz: ") as caught:
        fetch_mnist(True, tmp_path / "raw", server.url)
    assert "\n" not in str(caught.value)
    assert "train-images-idx3-ubyte.gz" not in _left(tmp_path)


@pytest.mark.parametrize("url", ["127.0.0.1/mnist", "nothing://127.0.0.1/"])
def test_an_address_that_is_none_is_bad_data(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadData, match="could not download"):
        fetch_mnist(True, tmp_path / "raw", url)


def test_a_folder_that_cannot_be_written_is_bad_data(server: Server, tmp_path: Path, published: dict[str, str]) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadData, match="could not download"):
        fetch_mnist(True, tmp_path / "file" / "raw", server.url)


def _zip(names: list[str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(name, bytes([1, 2, 0, 0, 3]))
    return packed.getvalue()


def test_an_archive_is_downloaded_and_unpacked_once(server: Server, tmp_path: Path) -> None:
    server.files["test.zip"] = _zip(["Test/4/00001.bin", "Test/4/00002.bin"])
    md5 = hashlib.md5(server.files["test.zip"]).hexdigest()
    for _ in range(2):
        folder = fetch_zip(f"{server.url}test.zip", "test.zip", md5, tmp_path / "NMNIST", "Test")
        assert _left(folder) == ["00001.bin", "00002.bin"]
    assert server.requests == ["test.zip"]
    assert _left(tmp_path) == ["00001.bin", "00002.bin", "test.zip"]


def test_n_mnist_is_downloaded_from_the_address_that_is_given(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tonic.datasets import NMNIST

    from nir_interop.datasets import load_nmnist, nmnist

    server.files["test.zip"] = _zip(["Test/4/00001.bin"])
    monkeypatch.setattr(nmnist, "cache_folder", lambda: cache)
    with pytest.raises(BadData, match="MD5"):
        load_nmnist(False, base_url=server.url)
    monkeypatch.setattr(NMNIST, "test_md5", hashlib.md5(server.files["test.zip"]).hexdigest())
    recordings = load_nmnist(False, base_url=server.url)
    assert recordings.labels.tolist() == [4]
    assert recordings[0].tolist() == [(1, 2, 3, 0)]


@pytest.mark.parametrize("content", [b"no zip at all", _zip(["Elsewhere/1.bin"])])
def test_an_archive_with_other_content_leaves_no_folder(server: Server, tmp_path: Path, content: bytes) -> None:
    server.files["test.zip"] = content
    with pytest.raises(BadData, match=r"could not unpack .*test.zip"):
        fetch_zip(f"{server.url}test.zip", "test.zip", hashlib.md5(content).hexdigest(), tmp_path, "Test")
    assert _left(tmp_path) == ["test.zip"]
    assert not (tmp_path / "Test").exists()
