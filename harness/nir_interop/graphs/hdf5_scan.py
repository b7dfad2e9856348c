"""What an HDF5 file declares, found out without reading any of its data.

A file can point out of itself (external links, external and virtual storage), declare arrays that no memory holds, or be a
graph of groups without end.  All of that shows in the headers, and is refused here, before anything is read or allocated.
"""

from __future__ import annotations

import h5py

from nir_interop.errors import UnreadableGraph
from nir_interop.memory import GIB, advice, gib_text, memory_limit
from nir_interop.printable import shape_text, shown

MOST_NODES = 20_000
MOST_ENTRIES = 16 * MOST_NODES
"""Groups and arrays in all, those of the metadata included."""
MOST_ELEMENTS = 2**27
"""In one array."""
MOST_CHUNKS = 2**17
"""That all arrays are cut into together: HDF5 looks each one up, written or not."""
DEEPEST = 16
"""Graphs within graphs, and groups within metadata."""

Layout = dict[str, "Layout | None"]
"""What a group holds, by name: a layout for a group, None for an array."""


def scan(root: h5py.h5g.GroupID) -> Layout:
    """Walk all that hangs on ``node`` and ``version``, or on NIR 0.0's ``nodes`` and ``edges``, and return it.

    Raises UnreadableGraph for links other than HDF5's own hard links, for storage outside the file, and for more nodes,
    entries, elements, chunks or levels than the limits of this module, or more bytes than ``--memory-limit`` allows.
    """
    members = _names(root, ())
    for name in members:
        _refuse_link(root, name, ())
    if b"node" not in members and {b"nodes", b"edges"} <= {*members}:
        parts = [b"nodes", b"edges"]  # NIR 0.0
        _count_below(h5py.h5o.open(root, b"nodes"))
    elif b"node" not in members:
        if b"nodes" in members:
            raise UnreadableGraph("HDF5, but no graph: recordings, as nir.write_data writes them; give the graph's own file")
        raise UnreadableGraph("HDF5, but not NIR: it has no 'node'; write it with nir.write")
    else:
        parts = [b"node", b"version"] if b"version" in members else [b"node"]  # NIR 0.1 says no version
        _count_nodes(root)
    found = _Scan()
    layout = found.group(root, parts, ())
    needed, most = found.bytes / GIB, memory_limit()
    if needed > most:
        largest = f"{gib_text(needed)}, {_at(found.largest[1])} the most of them"
        raise UnreadableGraph(f"its arrays declare {largest}, more than {most:g} GiB; {advice(needed)}")
    return layout


def _count_nodes(root: h5py.h5g.GroupID) -> None:
    """Count by the sizes of groups, level by level: one look a node, however large the file."""
    count = 0
    level = [(root, b"node")]
    for _ in range(DEEPEST + 2):
        below = []
        for parent, name in level:
            nodes = _nodes_of(parent, name)
            if nodes is None:
                continue
            count += int(nodes.get_num_objs())
            if count > MOST_NODES:
                raise UnreadableGraph(f"more than {MOST_NODES:,} nodes; the harness reads graphs up to that size")
            below += [(nodes, inner) for inner in nodes]
        level = below


def _count_below(nodes: h5py.h5g.GroupID | h5py.h5d.DatasetID) -> None:
    if isinstance(nodes, h5py.h5g.GroupID) and int(nodes.get_num_objs()) > MOST_NODES:
        raise UnreadableGraph(f"more than {MOST_NODES:,} nodes; the harness reads graphs up to that size")


def _nodes_of(parent: h5py.h5g.GroupID, name: bytes) -> h5py.h5g.GroupID | None:
    """The group ``nodes`` of a member, if there is one to be had without following a link."""
    if parent.links.get_info(name).type != h5py.h5l.TYPE_HARD or h5py.h5o.get_info(parent, name).type != h5py.h5o.TYPE_GROUP:
        return None
    group = h5py.h5g.open(parent, name)
    if not group.links.exists(b"nodes") or group.links.get_info(b"nodes").type != h5py.h5l.TYPE_HARD:
        return None
    nodes = h5py.h5o.open(group, b"nodes")
    return nodes if isinstance(nodes, h5py.h5g.GroupID) else None


class _Scan:
    """One walk, with what has been counted so far."""

    def __init__(self) -> None:
        self.entries = 0
        self.bytes = 0
        self.chunks = 0
        self.largest: tuple[int, tuple[str, ...]] = (0, ())

    def group(self, group: h5py.h5g.GroupID, names: list[bytes], path: tuple[str, ...]) -> Layout:
        if len(path) > 2 * DEEPEST + 2:
            raise UnreadableGraph(f"groups nested deeper than {DEEPEST} levels at {_at(path)}")
        layout: Layout = {}
        for raw in names:
            _refuse_link(group, raw, path)
            try:
                name = raw.decode("utf-8")
            except UnicodeDecodeError:
                raise UnreadableGraph(f"the name {shown(raw)} in {_at(path)} is not UTF-8; rename it") from None
            self.entries += 1
            if self.entries > MOST_ENTRIES:
                raise UnreadableGraph(f"more than {MOST_ENTRIES:,} groups and arrays; the harness reads no more")
            member = h5py.h5o.open(group, raw)
            here = (*path, name)
            if isinstance(member, h5py.h5g.GroupID):
                layout[name] = self.group(member, _names(member, here, MOST_ENTRIES - self.entries), here)
            elif isinstance(member, h5py.h5d.DatasetID):
                self.dataset(member, here)
                layout[name] = None
            else:
                raise UnreadableGraph(f"{_at(here)} is neither a group nor an array; NIR has no such thing")
        return layout

    def dataset(self, dataset: h5py.h5d.DatasetID, path: tuple[str, ...]) -> None:
        properties = dataset.get_create_plist()
        layout = properties.get_layout()
        outside = layout == h5py.h5d.CONTIGUOUS and properties.get_external_count()
        if outside or (layout == h5py.h5d.VIRTUAL and not _is_within(dataset, properties)):
            raise UnreadableGraph(f"the array {_at(path)} is stored outside the file; such files are not followed")
        space = dataset.get_space()
        if space.get_simple_extent_type() == h5py.h5s.NULL:
            raise UnreadableGraph(f"the array {_at(path)} is empty (a null dataspace); write a number")
        shape = tuple(int(n) for n in space.get_simple_extent_dims())
        chunk = properties.get_chunk() if layout == h5py.h5d.CHUNKED else ()
        elements = max(_product(shape), _product(chunk) if shape else 0)
        if elements > MOST_ELEMENTS:
            raise UnreadableGraph(f"the array {_at(path)} declares {shape_text(shape)}, more than {MOST_ELEMENTS:,} elements")
        taken = elements * int(dataset.get_type().get_size())
        self.bytes += taken
        if taken > self.largest[0]:
            self.largest = taken, path
        self.chunks += _product(tuple(-(-size // each) for size, each in zip(shape, chunk, strict=True))) if chunk else 1
        if self.chunks > MOST_CHUNKS:
            cut = f"the arrays up to {_at(path)} are cut into {self.chunks:,} chunks"
            raise UnreadableGraph(f"{cut}; write them with nir.write")
        if layout == h5py.h5d.CHUNKED and _product(shape) and not dataset.get_storage_size():
            raise UnreadableGraph(f"the array {_at(path)} was declared and never written; write the file again")


def _is_within(dataset: h5py.h5d.DatasetID, properties: h5py.h5p.PropDCID) -> bool:
    """Whether a virtual array is put together from arrays of the same file that are none themselves."""
    for number in range(properties.get_virtual_count()):
        if properties.get_virtual_filename(number) != ".":
            return False
        group, names = h5py.h5i.get_file_id(dataset), properties.get_virtual_dsetname(number).encode().strip(b"/").split(b"/")
        place = h5py.h5g.open(group, b"/")
        for name in names:
            if not isinstance(place, h5py.h5g.GroupID) or not place.links.exists(name):
                return False
            if place.links.get_info(name).type != h5py.h5l.TYPE_HARD:
                return False
            place = h5py.h5o.open(place, name)
        if not isinstance(place, h5py.h5d.DatasetID):
            return False
        held = place.get_create_plist()
        if held.get_layout() == h5py.h5d.VIRTUAL or (held.get_layout() == h5py.h5d.CONTIGUOUS and held.get_external_count()):
            return False
    return True


def _names(group: h5py.h5g.GroupID, path: tuple[str, ...], most: int = MOST_ENTRIES) -> list[bytes]:
    if int(group.get_num_objs()) > most:
        raise UnreadableGraph(f"{_at(path)} holds more than {most:,} entries; the harness reads no more")
    return sorted(group)


def _refuse_link(group: h5py.h5g.GroupID, name: bytes, path: tuple[str, ...]) -> None:
    kind = group.links.get_info(name).type
    if kind != h5py.h5l.TYPE_HARD:
        word = {h5py.h5l.TYPE_SOFT: "a soft link", h5py.h5l.TYPE_EXTERNAL: "an external link"}.get(kind, "an unknown link")
        raise UnreadableGraph(f"{shown(name)} in {_at(path)} is {word}; links are not followed: store the thing itself")


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


def _at(path: tuple[str, ...]) -> str:
    """The place of a member: its last two names, and the node's where that is neither of them."""
    return "/".join(shown(name) for name in path[-3:]) if path else "the file"
