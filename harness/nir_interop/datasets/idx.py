"""The idx format of MNIST.

Two zero bytes, a byte for the type (8: unsigned bytes), a byte for the number of axes, each axis as four bytes, most
significant first, then the values.  Source: Y. LeCun, C. Cortes, C. J. C. Burges, *The MNIST database*.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import BadData

_UNSIGNED_BYTES = 8
_MOST_VALUES = 2**28


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """The values of an idx file, gzipped where it ends in ``.gz``.

    axes : how many the file must have (3: images, 1: labels)

    Raises BadData where it cannot be read, is no such file, or is not whole.
    """
    opened: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            return _parse(cast("IO[bytes]", file), path, axes)
    except (EOFError, zlib.error) as error:
        raise BadData(f"{str(path)!r} is truncated or damaged gzip; copy or download it again") from error
    except gzip.BadGzipFile as error:
        raise BadData(f"{str(path)!r} is not gzip, though its name says so; unpacked files have no .gz") from error
    except OSError as error:
        raise BadData(f"{str(path)!r} cannot be read: {error.strerror or type(error).__name__}") from error


def _parse(file: IO[bytes], path: Path, axes: int) -> NDArray[np.uint8]:
    expected = bytes([0, 0, _UNSIGNED_BYTES, axes])
    magic = file.read(4)
    if magic != expected:
        raise BadData(f"{str(path)!r} is not an idx file of {axes} axes: it starts with {magic.hex()}, not {expected.hex()}")
    header = file.read(4 * axes)
    if len(header) < 4 * axes:
        raise BadData(f"{str(path)!r} is truncated: it ends within its header; copy or download it again")
    shape = struct.unpack(f">{axes}I", header)
    count = math.prod(shape)
    if not 0 < count <= _MOST_VALUES:
        raise BadData(f"{str(path)!r} declares {count} values ({' × '.join(map(str, shape))}); MNIST has 1 to {_MOST_VALUES}")
    values = file.read(count + 1)
    if len(values) < count:
        raise BadData(f"{str(path)!r} is truncated: {len(values)} of {count} values; copy or download it again")
    if len(values) > count:
        raise BadData(f"{str(path)!r} goes on after its {count} values; copy or download it again")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)
