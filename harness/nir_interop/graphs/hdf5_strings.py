"""Texts of variable length, read without the HDF5 library.

Given a damaged length or heap, the library (2.0.0) walks in place for ever or reads gigabytes that are not there, and a
small file can have it repeat one long text a million times.  NIR files hold little text, in one simple form.
Source: HDF5 File Format Specification 3.0, III.E "Disk Format: Level 1E - Global Heap" and IV.B "Variable-length".
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py

from nir_interop.errors import UnreadableGraph

_REFERENCE = struct.Struct("<IQI")
"""How an element refers to its text: length, address of the collection, number of the object in it."""
_COLLECTION = struct.Struct("<4sB3xQ")
"""How a collection of objects begins: signature, version, size."""
_OBJECT = struct.Struct("<HHxxxxQ")
"""How an object begins: number (0: free space), references, size."""

_DAMAGED = "the HDF5 is damaged (a text is not where it should be); copy or export it again"


class Texts:
    """The texts of one file; a context manager."""

    def __init__(self, path: Path, file: h5py.h5f.FileID) -> None:
        properties = file.get_create_plist()
        if properties.get_sizes() != (8, 8):
            raise UnreadableGraph("its HDF5 addresses are not 8 bytes wide; write it with nir.write")
        self._base = int(properties.get_userblock())
        self._collections: dict[int, dict[int, tuple[int, int]]] = {}
        with path.open("rb") as opened:
            self._data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)

    def __enter__(self) -> Texts:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._data.close()

    def elements(self, dataset: h5py.h5d.DatasetID, count: int) -> Iterator[bytes]:
        """The first ``count`` texts of a dataset, in order.

        Raises UnreadableGraph for damaged text, and for text that is stored in chunks (nir never does).
        """
        offset = dataset.get_offset()
        if offset is None:
            raise UnreadableGraph("its text is stored in chunks; write it with nir.write")
        for number in range(count):
            length, address, index = self._at(_REFERENCE, offset + number * _REFERENCE.size)
            if not length:
                yield b""
                continue
            start, size = self._collection(self._base + address).get(index, (0, 0))
            if length > size:
                raise UnreadableGraph(_DAMAGED)
            yield self._data[start : start + length].split(b"\0")[0]

    def _collection(self, address: int) -> dict[int, tuple[int, int]]:
        """Number → place and size of the objects of a collection."""
        if address in self._collections:
            return self._collections[address]
        signature, version, size = self._at(_COLLECTION, address)
        if signature != b"GCOL" or version != 1:
            raise UnreadableGraph(_DAMAGED)
        objects: dict[int, tuple[int, int]] = {}
        position, end = address + _COLLECTION.size, min(len(self._data), address + size)
        while position + _OBJECT.size <= end:
            index, _, length = self._at(_OBJECT, position)
            if not index:
                break
            position += _OBJECT.size
            if position + length <= end:
                objects[index] = (position, length)
            position += (length + 7) // 8 * 8
        self._collections[address] = objects
        return objects

    def _at(self, form: struct.Struct, position: int) -> tuple[Any, ...]:
        if position + form.size > len(self._data):
            raise UnreadableGraph(_DAMAGED)
        return form.unpack_from(self._data, position)
