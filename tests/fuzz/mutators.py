"""What the fuzzers do to a sound file: to its bytes, and to what they mean.

Every mutator takes a generator and the file's bytes and gives other bytes; equal seeds give equal files.
"""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterable
from typing import Any

import h5py
import numpy as np

Mutator = Callable[[np.random.Generator, bytes], bytes]
Change = Callable[[np.random.Generator, h5py.File], None]

NUMBERS = (
    0.0, -0.0, 1.0, -1.0, 1e-4, 0.5, 1e4, 1e-38, 5e-324, -5e-324, 1e38, -1e38, 1e300, -1e300, np.inf, -np.inf, np.nan,
    2.0**24 + 1, 2.0**53, 2.0**63, -(2.0**63),
)  # fmt: skip
SIZES = (
    0,
    1,
    2,
    3,
    7,
    8,
    16,
    31,
    64,
    255,
    1000,
    4096,
    65535,
    2**16,
    2**20,
    2**22,
    2**27,
    2**31 - 1,
    2**31,
    2**40,
    2**62,
    -1,
    -2,
)
TYPES = ("f2", "f4", "f8", ">f4", ">f8", "i1", "i4", "i8", "u1", "u8", "?", "c8", "S3", "V4")
KINDS = (
    "Input", "Output", "Affine", "Linear", "Scale", "Conv1d", "Conv2d", "SumPool2d", "AvgPool2d", "Flatten", "Threshold",
    "Delay", "I", "IF", "LI", "LIF", "CubaLI", "CubaLIF", "NIRGraph", "MaxPool2d", "", "LIF\0", "lif", "\x1b[2J",
)  # fmt: skip
NAMES = (
    "", " ", ".", "..", "a.b", "n0", "input", "output", "nodes", "edges", "type", "training", "forward", "__class__", "class",
    "a'b", 'a"b', "a\nb", "\x1b[31mred\x07", "‮abc", "x" * 300, "ü", "𝄞", "=1+1", "{0}", "%s", "a" * 5000, "n1.n0", "state",
)  # fmt: skip


def pick(generator: np.random.Generator, choices: Any) -> Any:
    return choices[int(generator.integers(len(choices)))]


def bytewise(generator: np.random.Generator, data: bytes) -> bytes:
    """Bits flipped, bytes replaced, cut off, moved, repeated, taken out."""
    changed = bytearray(data)
    for _ in range(int(pick(generator, (1, 1, 2, 3, 7)))):
        if not changed:
            break
        place, other = (int(each) for each in generator.integers(0, len(changed), 2))
        length = int(generator.integers(1, 64))
        way = int(generator.integers(8))
        if way == 0:
            changed[place] ^= 1 << int(generator.integers(8))
        elif way == 1:
            changed[place] = int(generator.integers(256))
        elif way == 2:
            changed[place : place + 8] = struct.pack("<q", int(pick(generator, SIZES)))
        elif way == 3:
            changed[place : place + length] = changed[other : other + length]
        elif way == 4:
            del changed[place : place + length]
        elif way == 5:
            changed[place:place] = changed[other : other + length]
        elif way == 6:
            changed[place : place + length] = bytes(min(length, len(changed) - place))
        elif generator.random() < 0.3:
            del changed[place:]
    return bytes(changed)


def structural(generator: np.random.Generator, data: bytes) -> bytes:
    """Some changes through h5py to what the file says; one that HDF5 does not do is left out."""
    count = int(pick(generator, (1, 1, 1, 2, 3)))
    return changed_by(generator, data, [pick(generator, _STRUCTURAL) for _ in range(count)])


def changed_by(generator: np.random.Generator, data: bytes, changes: Iterable[Change]) -> bytes:
    """A file after some changes to what it says."""
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file, np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for change in changes:
            try:
                change(generator, file)
            except (ValueError, TypeError, KeyError, OSError, RuntimeError, OverflowError, AttributeError, IndexError):
                continue
    return buffer.getvalue()


def both(generator: np.random.Generator, data: bytes) -> bytes:
    """What it says, then its bytes."""
    return bytewise(generator, structural(generator, data))


def _members(file: h5py.File, kind: type) -> list[str]:
    found: list[str] = []
    file.visititems(lambda name, member: found.append(name) if isinstance(member, kind) else None)
    return sorted(found)


def _read(file: h5py.File, name: str) -> Any:
    """What an array holds, unless an earlier change has made it large.  Raises ValueError then."""
    if file[name].size > 2**22:
        raise ValueError(f"{name} is too large to be read")
    return np.asarray(file[name][()])


def _dataset(generator: np.random.Generator, file: h5py.File) -> str:
    chosen: str = pick(generator, _members(file, h5py.Dataset))
    return chosen


def _node(generator: np.random.Generator, file: h5py.File) -> str:
    chosen: str = pick(generator, [f"node/nodes/{name}" for name in sorted(file["node/nodes"])])
    return chosen


def _put(file: h5py.File, name: str, value: Any, **options: Any) -> None:
    if name in file:
        del file[name]
    file.create_dataset(name, data=value, **options)


def _parameters(file: h5py.File) -> list[str]:
    return [name for name in _members(file, h5py.Dataset) if file[name].dtype.kind in "fiub"]


def _value(generator: np.random.Generator, file: h5py.File) -> None:
    name = pick(generator, _parameters(file))
    value = _read(file, name)
    flat = np.array(value, ndmin=1, dtype="f8" if generator.random() < 0.8 else value.dtype).copy()
    with np.errstate(all="ignore"):
        flat.reshape(-1)[int(generator.integers(flat.size))] = pick(generator, NUMBERS)
        if generator.random() < 0.3:
            flat[...] = pick(generator, NUMBERS)
    _put(file, name, flat.reshape(value.shape))


def _shape(generator: np.random.Generator, file: h5py.File) -> None:
    name = pick(generator, _parameters(file))
    value = _read(file, name).reshape(-1)
    first = value[:1] if value.size else np.zeros(1)
    axes = int(pick(generator, (0, 1, 1, 2, 3, 5, 17, 32)))
    shape = tuple(int(generator.integers(0 if generator.random() < 0.1 else 1, 4 if axes < 8 else 2)) for _ in range(axes))
    _put(file, name, np.broadcast_to(first.reshape(()), shape))


def _type(generator: np.random.Generator, file: h5py.File) -> None:
    name = _dataset(generator, file)
    kind = pick(generator, TYPES)
    value = _read(file, name)
    _put(
        file,
        name,
        np.zeros(value.shape, kind) if value.dtype.kind not in "fiub" or kind in ("S3", "V4") else value.astype(kind),
    )


def _huge(generator: np.random.Generator, file: h5py.File) -> None:
    """An array that says it is large, of which nothing or one chunk was written."""
    name = _dataset(generator, file)
    del file[name]
    axes = int(generator.integers(1, 4))
    shape = tuple(int(max(1, pick(generator, SIZES))) for _ in range(axes))
    chunks = tuple(min(each, int(pick(generator, (1, 8, 1024)))) for each in shape)
    filled = file.create_dataset(
        name, shape, pick(generator, ("f4", "f8", "i8")), chunks=chunks, compression=pick(generator, (None, "gzip"))
    )
    if generator.random() < 0.5:
        filled[tuple(0 for _ in shape)] = pick(generator, NUMBERS)


def _large(generator: np.random.Generator, file: h5py.File) -> None:
    """An array that is large, and packed small."""
    name = pick(generator, _parameters(file))
    shape = pick(generator, ((2**18,), (2**21,), (512, 512), (3, 2**16), (1, 1, 2**10, 2**8)))
    _put(file, name, np.zeros(shape, "f4"), compression="gzip", chunks=True)


def _sizes(generator: np.random.Generator, file: h5py.File) -> None:
    """Shapes, strides, paddings, windows."""
    whole = [name for name in _parameters(file) if file[name].dtype.kind in "iu"]
    name = pick(generator, whole)
    value = np.array(_read(file, name), ndmin=1).astype("i8")
    value[int(generator.integers(value.size))] = pick(generator, SIZES)
    if generator.random() < 0.2:
        value = np.full(int(generator.integers(1, 40)), pick(generator, (1, 2)))
    _put(file, name, value if generator.random() < 0.9 else value[0])


def _text(generator: np.random.Generator, file: h5py.File) -> None:
    name = pick(generator, [each for each in _members(file, h5py.Dataset) if file[each].dtype.kind not in "fiub"])
    _put(file, name, pick(generator, (*KINDS, "1.0.8", "9.9", "same", "valid", 3, b"\xff\xfe", "x" * 10_000)))


def _kind(generator: np.random.Generator, file: h5py.File) -> None:
    _put(file, f"{_node(generator, file)}/type", pick(generator, KINDS[:18] if generator.random() < 0.8 else KINDS))


def _exchange(generator: np.random.Generator, file: h5py.File) -> None:
    """A parameter of one node in the place of another's."""
    one, other = (pick(generator, _parameters(file)) for _ in range(2))
    _put(file, one, _read(file, other))


def _drop(generator: np.random.Generator, file: h5py.File) -> None:
    members: list[str] = []
    file.visit(members.append)
    del file[pick(generator, members)]


def _rename(generator: np.random.Generator, file: h5py.File) -> None:
    """A node under another name, in its edges too as a rule."""
    before = _node(generator, file).rsplit("/", 1)[-1]
    after = pick(generator, NAMES)
    file.move(f"node/nodes/{before}", f"node/nodes/{after}")
    if generator.random() < 0.8:
        _write_edges(file, [[after if end == before else end for end in edge] for edge in _edges(file)])


def _edges(file: h5py.File) -> list[list[str]]:
    return [[end.decode() for end in edge] for edge in _read(file, "node/edges")]


def _write_edges(file: h5py.File, edges: list[list[str]]) -> None:
    _put(file, "node/edges", np.array(edges, dtype=object).reshape(-1, 2), dtype=h5py.string_dtype())


def _edge(generator: np.random.Generator, file: h5py.File) -> None:
    edges = _edges(file)
    names = [*sorted(file["node/nodes"]), *(["missing"] if generator.random() < 0.1 else [])]
    way = int(generator.integers(5))
    if way <= 1:
        edges.append([pick(generator, names), pick(generator, names)])
    elif way == 2:
        edges.pop(int(generator.integers(len(edges))))
    elif way == 3:
        edges[int(generator.integers(len(edges)))].reverse()
    else:
        edges = [[a, b] for a in names for b in names if generator.random() < 0.7]
    _write_edges(file, edges)


def _odd_edges(generator: np.random.Generator, file: h5py.File) -> None:
    text = h5py.string_dtype()
    odd: tuple[tuple[Any, Any], ...] = (
        (np.zeros((0, 2), object), text),
        (np.array([["input", "n0", "output"]], object), text),
        (np.array("input", object), text),
        (np.array([b"input", b"n0"]), None),
        (np.zeros((3, 2)), None),
        (np.array([["", ""]], object), text),
        (np.array([["input", "n0"]] * 5000, object), text),
    )
    value, dtype = pick(generator, odd)
    _put(file, "node/edges", value, dtype=dtype)


def _copy(generator: np.random.Generator, file: h5py.File) -> None:
    """Many copies of a node, side by side or in a row."""
    source = _node(generator, file)
    name = source.rsplit("/", 1)[-1]
    count = int(pick(generator, (1, 2, 5, 40)))
    edges = _edges(file)
    added = []
    previous = name
    beside = generator.random() < 0.5
    for number in range(count):
        copy = f"{name}_{number}"
        file.copy(source, f"node/nodes/{copy}")
        if beside:
            added += [[copy if end == name else end for end in edge] for edge in edges if name in edge]
        else:
            added.append([previous, copy])
            previous = copy
    _write_edges(file, edges + added)


def _nest(generator: np.random.Generator, file: h5py.File) -> None:
    """The whole graph in the place of one of its nodes, some times."""
    for _ in range(int(pick(generator, (1, 1, 2, 6)))):
        place = _node(generator, file)
        file.copy("node", "inner")
        del file[place]
        file.move("inner", place)
    if generator.random() < 0.1:
        inside = place
        for _ in range(int(pick(generator, (20, 70)))):
            inside += "/nodes/deeper"
            file.create_group(inside)


def _link(generator: np.random.Generator, file: h5py.File) -> None:
    place = pick(generator, [_dataset(generator, file), _node(generator, file)])
    members: list[str] = ["/", "node", "node/nodes"]
    file.visit(members.append)
    target = pick(generator, members)
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: h5py.SoftLink(f"/{target}"),
        lambda: h5py.ExternalLink("/etc/passwd", "/"),
        lambda: h5py.ExternalLink("other.nir", "/node"),
        lambda: file[target],
    )
    value = pick(generator, kinds)()
    del file[place]
    file[place] = value


def _delay(generator: np.random.Generator, file: h5py.File) -> None:
    place = _node(generator, file)
    del file[place]
    _put(file, f"{place}/type", "Delay")
    _put(file, f"{place}/delay", np.full(int(pick(generator, (1, 3))), pick(generator, (*NUMBERS, 1e-3, 1.0, 100.0))))


def _dense(generator: np.random.Generator, file: h5py.File) -> None:
    """A layer of another size, or a window without measure, in the place of a node."""
    place = _node(generator, file)
    del file[place]
    if generator.random() < 0.4:
        outputs, inputs = (int(pick(generator, (1, 2, 3, 64, 3000))) for _ in range(2))
        weight = np.ones((outputs, inputs), "f4")
        parts: dict[str, Any] = {"type": "Affine", "weight": weight, "bias": np.zeros(outputs)}
    else:
        kernel = int(pick(generator, (1, 3, 8, 31)))
        parts = {"type": "Conv2d", "weight": np.ones((1, 1, kernel, kernel)), "bias": np.zeros(1), "groups": 1}
        for name in ("stride", "padding", "dilation"):
            parts[name] = np.array([int(pick(generator, (0, 1, 1, 2, 15, 1000, 10**5, -1))) for _ in range(2)])
    for name, value in parts.items():
        _put(file, f"{place}/{name}", value)


def _filter(generator: np.random.Generator, file: h5py.File) -> None:
    name = pick(generator, [each for each in _parameters(file) if file[each].shape])
    options = pick(
        generator,
        (
            {"compression": "gzip", "compression_opts": 9},
            {"shuffle": True, "fletcher32": True},
            {"compression": "lzf"},
            {"scaleoffset": 3},
            {"maxshape": (None,) * len(file[name].shape), "chunks": True},
            {"chunks": True, "compression": 32015, "allow_unknown_filter": True},
        ),
    )
    value = _read(file, name)
    _put(file, name, value, **options)


def _attribute(generator: np.random.Generator, file: h5py.File) -> None:
    members: list[str] = ["/"]
    file.visit(members.append)
    member = file[pick(generator, members)]
    member.attrs[str(pick(generator, NAMES))[:200] or "a"] = pick(generator, ("x" * 1000, np.zeros(1000), 3, "‮"))


def _metadata(generator: np.random.Generator, file: h5py.File) -> None:
    place = f"{pick(generator, [_node(generator, file), 'node'])}/metadata"
    for number in range(int(pick(generator, (1, 3, 200)))):
        name = f"{pick(generator, NAMES)[:40].replace('/', '')}{number}"
        _put(file, f"{place}/{name}", pick(generator, ("text", 3.0, np.zeros(100), "\x1b[2J")))
        if generator.random() < 0.2:
            place = f"{place}/deep{number}"


def _extra(generator: np.random.Generator, file: h5py.File) -> None:
    place = pick(generator, (_node(generator, file), "node", "/"))
    _put(file, f"{place}/{pick(generator, ('weight', 'tau', 'v_reset', 'w_in', 'extra', 'input_type', 'input_shape'))}", 1.0)


_STRUCTURAL: tuple[Change, ...] = (
    _value, _value, _value, _shape, _type, _huge, _large, _sizes, _sizes, _text, _kind, _exchange, _drop, _rename, _edge,
    _edge, _odd_edges, _copy, _nest, _link, _delay, _dense, _filter, _attribute, _metadata, _extra,
)  # fmt: skip

SHAPES = (
    "(6, 2, 2)", "(6, 2, 3)", "(6, 2)", "()", "(1,)", "(0, 2, 2)", "(-6, 2, 2)", "(6, 2, 1000000000000)",
    "(9999999999999999999,)",
    "(6.0, 2, 2)", "(True, 2, 2)", "5", "None", "(6, 2, 2", "(1," * 70 + "1" + ")" * 70, str((1,) * 40), "(2**40, 2, 2)",
)  # fmt: skip
DESCRIPTIONS = (
    "'<f4'", "'<f8'", "'>f4'", "'<f2'", "'|b1'", "'<i8'", "'<c8'", "'|O'", "'<U9'", "'|V0'", "'<M8[s]'", "'|S0'", "'x'", "3",
    "[('a', '<f4')]", "[('a', '|O')]", "('<f4', (2, 2))", "'<f4,<f4'",
)  # fmt: skip
MEMBERS = ("expected.npy", "output.npy", "input.npy", "input", "index.npy", "a0.npy", "../x.npy")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
CONTENTS = (0, 1, 24, 48, 96, 144, 288, 10_000, 2**22)


def npz_members(generator: np.random.Generator, data: bytes) -> bytes:
    """An archive whose arrays have other headers, contents, names and packing."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(int(generator.integers(1, 3))):
        name = pick(generator, sorted(members))
        way = int(generator.integers(6))
        if way <= 2:
            order = pick(generator, ("True", "False", "2"))
            said = (
                f"{{'descr': {pick(generator, DESCRIPTIONS)}, 'fortran_order': {order}, 'shape': {pick(generator, SHAPES)}, }}"
            )
            length = len(said) if generator.random() < 0.9 else int(generator.integers(2**16))
            version = pick(generator, (b"\1\0", b"\1\0", b"\2\0", b"\3\0"))
            size = struct.pack("<H" if version == b"\1\0" else "<L", length)
            filled = bytes([int(pick(generator, (0, 1, 255)))]) * int(pick(generator, CONTENTS))
            members[name] = b"\x93NUMPY" + version + size + said.encode() + filled
        elif way == 3:
            members[name] = bytewise(generator, members[name])
        elif way == 4:
            members[pick(generator, MEMBERS)] = members[name]
        else:
            members.pop(name)
            members = members or {"other.npy": b""}
    packed = io.BytesIO()
    method = pick(generator, METHODS)
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return packed.getvalue()


def npz_directory(generator: np.random.Generator, data: bytes) -> bytes:
    """An archive whose directory claims other sizes, places, packing and names."""
    changed = bytearray(data)
    marks = [place for place in range(len(changed) - 4) if changed[place : place + 4] in (b"PK\1\2", b"PK\3\4", b"PK\5\6")]
    for _ in range(int(generator.integers(1, 4))):
        place = int(pick(generator, marks)) + int(generator.integers(4, 46))
        width = int(pick(generator, (1, 2, 4)))
        if place + width <= len(changed):
            changed[place : place + width] = (int(pick(generator, SIZES)) % 2 ** (8 * width)).to_bytes(width, "little")
    return bytes(changed)


CELLS = (
    "", "0", "-1", "nan", "inf", "1e400", "99999999999999999999999", "true", "exact", "mismatch", "\x1b[2J", "=cmd()",
    '"', "a\nb",
    "‮", "ä" * 100, "x" * 200_000, "0x10", "1_000", "norse", "a>b", "\0", "'", "None", " 1",
)  # fmt: skip


def cells(generator: np.random.Generator, data: bytes) -> bytes:
    """A table with other cells, rows and columns."""
    import csv

    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    for _ in range(int(pick(generator, (1, 1, 2, 4)))):
        row = rows[int(generator.integers(0 if generator.random() < 0.1 else min(1, len(rows) - 1), len(rows)))]
        way = int(generator.integers(10))
        if way <= 5 and row:
            row[int(generator.integers(len(row)))] = pick(generator, CELLS)
        elif way == 6:
            rows.append(list(row))
        elif way == 7 and row:
            row.pop(int(generator.integers(len(row))))
        elif way == 8:
            column = int(generator.integers(40))
            rows = [[*each[:column], *each[column + 1 :]] for each in rows]
        else:
            generator.shuffle(rows)
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if generator.random() < 0.3 else csv.QUOTE_MINIMAL).writerows(
        rows
    )
    return text.getvalue().encode("utf-8", "surrogatepass")


def lines(generator: np.random.Generator, data: bytes) -> bytes:
    """A text with lines changed, moved, repeated and left out."""
    found = data.decode().splitlines()
    for _ in range(int(pick(generator, (1, 1, 2, 4)))):
        place = int(generator.integers(len(found)))
        way = int(generator.integers(5))
        if way == 0:
            found.insert(place, found[int(generator.integers(len(found)))])
        elif way == 1 and len(found) > 1:
            found.pop(place)
        elif way == 2:
            found[place] = (
                found[place].split("=")[0]
                + f"= {pick(generator, (*CELLS[:16], '[]', '{}', '[[1]]', '1979-05-27', '[' * 3000))}"
            )
        elif way == 3:
            found[place] = f"{pick(generator, ('[issue]', '[[issue]]', '[[x]]', 'issue = 3', 'a.b.c = 1', '[a', 'id = ['))}"
        else:
            found[place] = found[place].replace('"', pick(generator, ("'", '"""', "")))
    return "\n".join(found).encode()
