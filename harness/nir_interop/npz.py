"""npz files that nobody vouches for: what they declare is looked at before anything of its size is read or allocated.

An npz is a zip of npy files.  The zip's directory says how large each is, packed and unpacked; the npy's header says shape and
type.  Either may lie, or be of a size that no memory holds; a type may be Python objects, which are never unpickled.
Source: .ZIP File Format Specification 6.3.9, 4.3.12–4.3.16; ``numpy.lib.format``.
"""

from __future__ import annotations

import math
import stat
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import BadStimulus
from nir_interop.memory import GIB, advice, gib_text, memory_limit
from nir_interop.printable import shape_text, shown

Array = NDArray[Any]
Check = Callable[[tuple[int, ...]], None]
"""Raises BadStimulus for a shape that does not fit."""

REAL = "biuf"
"""Kinds of types that are real numbers."""
MOST_DIRECTORY = 2**22
"""Bytes that the zip's directory may have: some ten thousand arrays."""
MOST_AXES = 32
_DEFLATE = 1032
"""Bytes that one byte of deflated data may stand for, at most."""
_END, _END64, _LOCATOR = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")

# What numpy and zipfile raise over damaged bytes; NotImplementedError (an unknown compression) is a RuntimeError.
_DAMAGED = (
    ValueError,
    EOFError,
    RuntimeError,
    KeyError,
    SyntaxError,
    TypeError,
    OverflowError,
    MemoryError,
    tokenize.TokenError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class Header:
    """What an array is declared to be, and the bytes that are there for it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    held: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


class Archive:
    """One npz file, open; a context manager.

    how : what to do where it is none, as the end of a message

    Raises BadStimulus, in one line, for what is no regular file or no whole zip, or has a directory without end.
    """

    def __init__(self, path: Path, how: str) -> None:
        self.path, self.how, self.name = path, how, repr(str(path))
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise BadStimulus(f"{self.name} cannot be read: it is no regular file; {how}")
            self._size = path.stat().st_size
            self._check_directory()
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise BadStimulus(f"{self.name} cannot be read: {error.strerror or type(error).__name__}; {how}") from error
        except (zipfile.BadZipFile, *_DAMAGED) as error:
            raise BadStimulus(f"{self.name} is not a whole npz file; {how}") from error
        self._members = Counter(self._zip.namelist())

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._zip.close()

    def __contains__(self, key: str) -> bool:
        return f"{key}.npy" in self._members

    def first(self, keys: tuple[str, ...]) -> str:
        """The first of some keys that there is.

        Raises BadStimulus where there is none, and for an array that is there twice.
        """
        key = next((each for each in keys if each in self), None)
        if key is None:
            there = sorted(
                each.removesuffix(".npy") if each.endswith(".npy") else f"{each} (no array)" for each in self._members
            )
            raise BadStimulus(f"{self.name} has no key {keys[0]!r}, only {_listed(there)}; {self.how}")
        if self._members[f"{key}.npy"] > 1:
            raise BadStimulus(f"{self.name} holds {key!r} {self._members[f'{key}.npy']} times; {self.how}")
        return key

    def header(self, key: str) -> Header:
        """What the array under a key is declared to be.  Raises BadStimulus where that cannot be told."""
        with self._damage(key):
            member = self._zip.getinfo(f"{key}.npy")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BadStimulus(f"{key!r} in {self.name} is packed as numpy never does; {self.how}")
            if member.compress_size > self._size or member.file_size > _DEFLATE * member.compress_size + _DEFLATE:
                raise BadStimulus(f"{key!r} in {self.name} claims more bytes than the file can hold; write it again")
            with self._zip.open(member) as file:
                shape, dtype = _declared(file)
                return Header(shape, dtype, member.file_size - file.tell())

    def read(self, key: str, check: Check = lambda shape: None, *, kinds: str = REAL, copies: int = 0) -> Array:
        """The array under a key.

        check : raises BadStimulus for a shape that does not fit
        kinds : of types that are taken, as in ``numpy.dtype.kind``
        copies : bytes for each element that the caller is going to need besides

        Raises BadStimulus, before the array is allocated, for other types, a shape that does not fit or has no elements, more
        bytes than ``--memory-limit`` allows, and where the file holds other bytes than it declares.
        """
        header = self.header(key)
        where = f"{key!r} in {self.name}"
        if header.dtype.hasobject or header.dtype.kind not in kinds:
            raise BadStimulus(f"{where} holds {_kind(header.dtype)}, not real numbers; save it as float32")
        check(header.shape)
        if len(header.shape) > MOST_AXES:
            raise BadStimulus(f"{where} has {len(header.shape)} axes, more than {MOST_AXES}; {self.how}")
        if min(header.shape, default=1) < 1:
            raise BadStimulus(f"{where} is empty: it has the shape {shape_text(header.shape)}; {self.how}")
        needed = header.elements * (header.dtype.itemsize + copies) / GIB
        if needed > memory_limit():
            taken = f"has {header.elements:,} elements, which take {gib_text(needed)}, more than {memory_limit():g} GiB"
            raise BadStimulus(f"{where} {taken}; use fewer steps or samples; {advice(needed)}")
        if header.held != header.elements * header.dtype.itemsize:
            raise BadStimulus(f"{where} declares {header.elements:,} elements but holds {header.held:,} bytes; write it again")
        with self._damage(key), self._zip.open(f"{key}.npy") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of headers that Python 2 wrote
            read: Array = np.lib.format.read_array(file, allow_pickle=False)
            return read

    def _damage(self, key: str) -> _Damage:
        return _Damage(f"{self.name} holds no array that can be read under {key!r}; {self.how}")

    def _check_directory(self) -> None:
        """Look at the size of the zip's directory, which zipfile would read whole, entry by entry."""
        with self.path.open("rb") as file:
            start = max(0, self._size - _END.size - 2**16 - _LOCATOR.size - _END64.size)
            file.seek(start)
            tail = file.read()
        place = tail.rfind(b"PK\5\6")
        if place < 0 or place + _END.size > len(tail):
            raise zipfile.BadZipFile
        size = _END.unpack_from(tail, place)[5]
        before = place - _LOCATOR.size - _END64.size
        if before >= 0 and tail[place - _LOCATOR.size :].startswith(b"PK\6\7"):
            size = _END64.unpack_from(tail, before)[8]
        if size > MOST_DIRECTORY:
            raise BadStimulus(f"{self.name} lists more arrays than a recording has; {self.how}")


class _Damage:
    """Says in one line what numpy and zipfile say in many ways."""

    def __init__(self, message: str) -> None:
        self.message = message

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, (zipfile.BadZipFile, OSError, RecursionError, *_DAMAGED)):
            raise BadStimulus(self.message) from error


def _declared(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type by an npy's header; numpy takes none of more than 10,000 characters."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"array format {version}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        shape, _, dtype = readers[version](file)
    return shape, dtype


def _kind(dtype: np.dtype[Any]) -> str:
    names = {"O": "Python objects", "c": "complex numbers", "U": "text", "S": "text", "V": "records"}
    return names.get(dtype.kind, str(dtype))


def _listed(keys: list[str]) -> str:
    return ", ".join([shown(key) for key in keys[:5]] + (["…"] if len(keys) > 5 else [])) or "nothing"
