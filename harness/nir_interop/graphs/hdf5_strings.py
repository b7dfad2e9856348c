"""Texts of variable length, read without the HDF5 library.

Given a damaged length or heap, the library (2.0.0) walks in place for ever or reads gigabytes that are not there, and a
small file can have it repeat one long text a million times.  NIR files hold little text, in one simple form.
What is cut into chunks (compressed, by h5repack for instance) has its references in them, which the library hands over as they
lie in the file.
Source: HDF5 File Format Specification 3.0, III.E "Disk Format: Level 1E - Global Heap", IV.A.2.l "The Data Storage - Filter
Pipeline Message" and IV.B "Variable-length".
"""

from __future__ import annotations

import itertools
import mmap
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

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

        Raises UnreadableGraph for damaged text, and for text that is stored in the headers, or packed by other filters than
        HDF5's own deflate, shuffle and Fletcher checksum.
        """
        found: Iterator[tuple[Any, ...]]
        offset = dataset.get_offset()
        if offset is not None:
            found = (self._at(_REFERENCE, offset + number * _REFERENCE.size) for number in range(count))
        elif dataset.get_create_plist().get_layout() == h5py.h5d.CHUNKED:
            found = itertools.islice(_REFERENCE.iter_unpack(_in_chunks(dataset)), count)
        else:
            virtual = dataset.get_create_plist().get_layout() == h5py.h5d.VIRTUAL
            where = "put together from other arrays" if virtual else "stored in the headers of the file"
            raise UnreadableGraph(f"its text is {where}; write it with nir.write")
        for length, address, index in found:
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


def _in_chunks(dataset: h5py.h5d.DatasetID) -> bytes:
    """The references of a dataset that is cut into chunks, in order; what was never written refers to nothing."""
    properties = dataset.get_create_plist()
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    unknown = {*filters} - {*_FILTERS}
    if unknown:
        raise UnreadableGraph(f"its text is packed by filter {min(unknown)} of HDF5; write it with nir.write")
    shape, chunk = dataset.shape, properties.get_chunk()
    size = int(np.prod(chunk)) * _REFERENCE.size
    references = np.zeros(shape, dtype=f"V{_REFERENCE.size}")
    for number in range(dataset.get_num_chunks()):
        stored = dataset.get_chunk_info(number)
        _, packed = dataset.read_direct_chunk(stored.chunk_offset)
        skipped = [bool(stored.filter_mask & (1 << place)) for place in range(len(filters))]
        raw = bytes(packed)
        for kind, skip in zip(reversed(filters), reversed(skipped), strict=True):
            if not skip:
                raw = _FILTERS[kind](raw, size)
        if len(raw) != size:
            raise UnreadableGraph(_DAMAGED)
        within = tuple(slice(start, start + length) for start, length in zip(stored.chunk_offset, chunk, strict=True))
        there = references[within]
        part = np.frombuffer(raw, dtype=references.dtype).reshape(chunk)
        references[within] = part[tuple(slice(0, length) for length in there.shape)]
    return references.tobytes()


def _inflated(raw: bytes, size: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(raw, size + 1)  # one byte more tells that it is too long
    except zlib.error as error:
        raise UnreadableGraph(_DAMAGED) from error


def _unshuffled(raw: bytes, size: int) -> bytes:
    """Bytes of one place of all elements together, as the shuffle filter lays them, back in the order of elements."""
    whole = len(raw) // _REFERENCE.size * _REFERENCE.size
    turned = np.frombuffer(raw[:whole], dtype=np.uint8).reshape(_REFERENCE.size, -1).T
    return turned.tobytes() + raw[whole:]


_CHECKSUM = 4
_FILTERS: dict[int, Callable[[bytes, int], bytes]] = {
    h5py.h5z.FILTER_DEFLATE: _inflated,
    h5py.h5z.FILTER_SHUFFLE: _unshuffled,
    h5py.h5z.FILTER_FLETCHER32: lambda raw, size: raw[:-_CHECKSUM],
}
"""HDF5's own filters, undone: (bytes, size of a chunk) → bytes."""
