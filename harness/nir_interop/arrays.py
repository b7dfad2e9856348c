"""Named arrays in one file; arrays of zeros and ones are packed, whatever their type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def save_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an npz whose ``index`` (JSON) says which array is which; equal arrays give equal bytes."""
    members: dict[str, Array] = {}
    index = []
    for number, (name, array) in enumerate(sorted(arrays.items())):
        binary = array.size > 0 and bool(np.all((array == 0) | (array == 1)))
        index.append({"name": name, "dtype": array.dtype.str, "shape": list(array.shape), "packed": binary})
        members[f"a{number}"] = np.packbits(array.astype(bool)) if binary else np.ascontiguousarray(array)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, index=np.array(json.dumps(index)), **members)


def load_arrays(path: Path) -> dict[str, Array]:
    """Read what :func:`save_arrays` wrote.

    Raises OSError, ValueError or KeyError for anything else.
    """
    found: dict[str, Array] = {}
    with np.load(path, allow_pickle=False) as file:
        for number, entry in enumerate(json.loads(str(file["index"]))):
            array = file[f"a{number}"]
            if entry["packed"]:
                count = int(np.prod(entry["shape"]))
                array = np.unpackbits(array, count=count).astype(entry["dtype"]).reshape(entry["shape"])
            found[entry["name"]] = array
    return found
