"""A file as a library is given it: as it is where all names are safe, else a copy that differs in nothing but names.

The copy is made in the file, group by group and edge by edge, by whoever gives the file to a library: numbers, shapes,
metadata, and what else is in it stay byte for byte.  What a library says of the copy is put back under the file's own names.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nir_interop.errors import ReadFailed
from nir_interop.printable import shown
from nir_interop.recording import Recording
from nir_interop.safe_names import is_harmless, mangled, replacements, unsafe

if TYPE_CHECKING:
    import h5py

_DEEPEST = 64
"""Graphs within graphs: beyond that a file is not looked into, nor is it one that can be read."""


@dataclass(frozen=True)
class Handed:
    """A graph file that a library may have.

    path : the file itself, or a copy with safe names
    originals : the name of a node in the copy → in the file, ``outer.inner`` in a nested graph; none where it is no copy
    """

    path: Path
    originals: Mapping[str, str] = field(default_factory=dict)

    def original(self, name: str) -> str:
        """The file's own name of a node."""
        return self.originals.get(name, name)

    def told(self, text: str) -> str:
        """A text of the library's with the file's own names, as they may be shown."""
        if not self.originals:
            return text
        called: dict[str, str] = {}
        for new, old in self.originals.items():
            for word in (new, mangled(new), new.rpartition(".")[2]):
                last = word == new.rpartition(".")[2] and word != new
                called.setdefault(word, shown(old.rpartition(".")[2] if last else old)[1:-1])
        words = "|".join(re.escape(word) for word in sorted(called, key=len, reverse=True))
        return re.sub(rf"(?<![A-Za-z0-9.])(?:{words})(?![A-Za-z0-9])", lambda match: called[match.group()], text)

    def recorded(self, recording: Recording) -> Recording:
        """A recording with the file's own names."""
        if not self.originals:
            return recording
        outputs, spikes, membranes = (
            {self.original(name): array for name, array in section.items()}
            for section in (recording.outputs, recording.spikes, recording.membranes)
        )
        return Recording(outputs, spikes, membranes, recording.margin)


@contextmanager
def handed(path: Path) -> Iterator[Handed]:
    """The file for a library: a copy is gone when the context ends.

    What is no HDF5 at all is given as it is: no reader takes it.
    Raises ReadFailed for a file that may hold code in names which cannot be replaced.
    """
    if not _names_at(path):
        yield Handed(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        yield Handed(copy, write_safe(path, copy))


def renamed_in(path: Path) -> dict[str, str]:
    """What a copy of a file calls otherwise: name in the file → in the copy, ``outer.inner`` in a nested graph.

    Names alone are read; of a file that h5py cannot read there are none.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            found = _Renaming(write=False).graph(file["node"], 0)
    except _UNREADABLE:
        return {}
    return {old: new for new, old in found.items() if new != old}


def write_safe(path: Path, copy: Path) -> dict[str, str]:
    """Copy a file, its names replaced where they are not safe; returns the name of a node in the copy → in the file.

    Raises ReadFailed as :func:`handed` does; there is no copy then.
    """
    import h5py

    shutil.copyfile(path, copy)
    if not _names_at(path):
        return {}
    try:
        copy.chmod(0o600)  # the file may be one that nobody may write
        with h5py.File(copy, "r+") as file:
            renamed = _Renaming().graph(file["node"], 0)
    except _UNREADABLE:
        copy.unlink()
        raise _refused(path) from None
    return {new: old for new, old in renamed.items() if new != old}


_UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, RecursionError)


def _names_at(path: Path) -> bool:
    """Whether a file has names to replace.

    Raises ReadFailed where its graphs cannot be walked through and not every name in it is harmless.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError:
        return False
    with file:
        try:
            return _Looking().any(file["node"], 0)
        except _UNREADABLE:
            if all(map(is_harmless, _links(file))):
                return False
            raise _refused(path) from None


def _links(file: h5py.File) -> Iterator[str]:
    """The name of everything in a file, whatever it is; something that is not harmless where that cannot be said."""
    found: list[str] = []
    try:
        file.visit_links(found.append)
    except (*_UNREADABLE, AttributeError):
        yield ""
    for path in found:
        yield from path.split("/")


def _refused(path: Path) -> ReadFailed:
    return ReadFailed(f"{path.name}: names in it could be run as code, and cannot be replaced; write it anew with nir.write")


def _graphs(group: h5py.Group) -> Iterator[tuple[str, h5py.Group]]:
    """The nodes of a graph that are graphs."""
    for name in group["nodes"]:
        node = group["nodes"][name]
        if "nodes" in node:
            yield name, node


class _Looking:
    """A walk through the graphs of a file, each once, however many names it has."""

    def __init__(self) -> None:
        self.seen: set[Any] = set()

    def any(self, group: h5py.Group, depth: int) -> bool:
        if depth > _DEEPEST:
            raise RecursionError
        if "nodes" not in group or group.id in self.seen:
            return False
        self.seen.add(group.id)
        return bool(unsafe(_names(group))) or any(self.any(node, depth + 1) for _, node in _graphs(group))


class _Renaming:
    """The same walk, in which names are replaced.

    write : in the file too, which must be open for it
    """

    def __init__(self, write: bool = True) -> None:
        self.write = write
        self.done: list[tuple[Any, dict[str, str]]] = []

    def graph(self, group: h5py.Group, depth: int) -> dict[str, str]:
        """Replace the names of a graph; returns its nodes by their new names, those of inner graphs too."""
        if depth > _DEEPEST:
            raise RecursionError
        if "nodes" not in group:
            return {}
        for known, found in self.done:
            if known == group.id:
                return found
        inside = {name: self.graph(node, depth + 1) for name, node in _graphs(group)}
        nodes, called = group["nodes"], replacements(_names(group))
        found = {}
        for name in list(nodes):
            new = called.get(name, name)
            found[new] = name
            found |= {f"{new}.{inner}": f"{name}.{own}" for inner, own in inside.get(name, {}).items()}
        if called and self.write:
            _rename(nodes, called)
            _rename_ends(group, called)
        self.done.append((group.id, found))
        return found


def _names(group: h5py.Group) -> list[str]:
    """The nodes of a graph, and what its edges call nodes."""
    ends = group["edges"][()].reshape(-1).tolist() if "edges" in group else []
    return [*group["nodes"], *(_text(end) for end in ends)]


def _text(end: Any) -> str:
    return end.decode("utf-8", "surrogateescape") if isinstance(end, bytes) else str(end)


def _rename(nodes: h5py.Group, called: Mapping[str, str]) -> None:
    """All of them, in their order and by way of other names: the new ones may be taken, and a group may keep its order."""
    names = list(nodes)
    for number, name in enumerate(names):
        nodes.move(name, f"{number} moved")
    for number, name in enumerate(names):
        nodes.move(f"{number} moved", called.get(name, name))


def _rename_ends(group: h5py.Group, called: Mapping[str, str]) -> None:
    import h5py
    import numpy as np

    held = group["edges"]
    ends = [called.get(_text(end), _text(end)) for end in held[()].reshape(-1).tolist()]
    kept = dict(held.attrs)
    written = np.array(ends, dtype=object).reshape(held.shape)
    del group["edges"]
    made = group.create_dataset("edges", data=written, dtype=h5py.string_dtype())
    made.attrs.update(kept)
