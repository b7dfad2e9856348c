"""A user's own input: an npz file with the key ``input``, looked at before it is read."""

from __future__ import annotations

import math
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import BadStimulus
from harness.stimuli.stimulus import Stimulus

KEY = "input"

MOST_ELEMENTS = 2**28
"""Larger inputs are refused: as float32 they would take more than 1 GiB."""

# What numpy and zipfile raise over damaged bytes; NotImplementedError (an unknown compression) is a RuntimeError.
_DAMAGED = (ValueError, EOFError, RuntimeError, KeyError, SyntaxError, tokenize.TokenError, struct.error, zlib.error)

_HOW = "write one with numpy.savez(path, input=array), axes (T, B, *shape)"


def load_stimulus(path: Path, shape: tuple[int, ...]) -> Stimulus:
    """The input in an npz file: key ``input``, axes (T, B, \\*shape), any real numbers; float32 from here on.

    shape : of the graph's input at one step, without batch

    Raises BadStimulus where the file is none of that, holds values that are not finite, no steps or samples, or more
    than ``MOST_ELEMENTS`` elements; what its header declares is checked before anything of its size is allocated.
    """
    shown = repr(str(path))

    def check(found: tuple[int, ...]) -> None:
        if len(found) != 2 + len(shape):
            raise BadStimulus(
                f"{KEY!r} in {shown} has {len(found)} axes, the graph needs {2 + len(shape)}: (T, B, {_axes(shape)})"
            )
        if found[2:] != shape:
            raise BadStimulus(f"{KEY!r} in {shown} has samples of shape {found[2:]}, the graph's input takes {shape}")

    return Stimulus(_array(path, (KEY,), _HOW, check), None, "file", "given", 0)


def load_output(path: Path, stimulus: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""What came out for the input in the same npz file: key ``output``, or ``expected``, axes (T, B, \*shape).

    Raises BadStimulus as :func:`load_stimulus` does, and where it is not of the input's steps and samples.
    """

    def check(found: tuple[int, ...]) -> None:
        if found[:2] != stimulus.shape[:2] or len(found) < 3:
            wanted = f"the input has {stimulus.shape}: write (T, B, *shape)"
            raise BadStimulus(f"the output in {str(path)!r} has axes {found}; {wanted}")

    return _array(path, ("output", "expected"), "write what was computed with numpy.savez(path, input=…, output=…)", check)


def _array(path: Path, keys: tuple[str, ...], how: str, check: Callable[[tuple[int, ...]], None]) -> NDArray[np.float32]:
    """The array under the first key that there is, as float32; its header is looked at before anything is allocated.

    check : raises BadStimulus for a shape that does not fit
    """
    shown = repr(str(path))
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadStimulus(f"{shown} cannot be read: it is no regular file; {how}")
        key = _check_header(path, keys, how, check, shown)
        with np.load(path, allow_pickle=False) as archive:
            given = archive[key]
    except zipfile.BadZipFile as error:
        raise BadStimulus(f"{shown} is not a whole npz file; {how}") from error
    except _DAMAGED as error:
        raise BadStimulus(f"{shown} holds no array that can be read under {keys[0]!r}; {how}") from error
    except OSError as error:
        raise BadStimulus(f"{shown} cannot be read: {error.strerror or type(error).__name__}") from error
    with np.errstate(over="ignore"):
        values: NDArray[np.float32] = given.astype(np.float32)
    if not np.all(np.isfinite(values)):
        raise BadStimulus(f"{key!r} in {shown} holds NaN or values beyond float32; remove them")
    return values


def _check_header(path: Path, keys: tuple[str, ...], how: str, check: Callable[[tuple[int, ...]], None], shown: str) -> str:
    """The key whose array it is."""
    with zipfile.ZipFile(path) as archive:
        there = archive.namelist()
        key = next((name for name in keys if f"{name}.npy" in there), None)
        if key is None:
            listed = _listed(
                sorted(name.removesuffix(".npy") if name.endswith(".npy") else f"{name} (no array)" for name in there)
            )
            raise BadStimulus(f"{shown} has no key {keys[0]!r}, only {listed}; {how}")
        member = archive.getinfo(f"{key}.npy")
        with archive.open(member) as file:
            found, dtype = _header(file)
            rest = member.file_size - file.tell()
    if dtype.hasobject or dtype.kind not in "biuf":
        raise BadStimulus(f"{key!r} in {shown} holds {_kind(dtype)}, not real numbers; save it as float32")
    check(found)
    if min(found) < 1:
        raise BadStimulus(f"{key!r} in {shown} is empty: {found[0]} steps of {found[1]} samples")
    if math.prod(found) > MOST_ELEMENTS:
        raise BadStimulus(
            f"{key!r} in {shown} has {math.prod(found)} elements, more than {MOST_ELEMENTS}; use fewer steps or samples"
        )
    if rest != math.prod(found) * dtype.itemsize:
        raise BadStimulus(f"{key!r} in {shown} declares {math.prod(found)} elements but holds {rest} bytes; write it again")
    return key


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"array format {version}")
    return shape, dtype


def _kind(dtype: np.dtype[Any]) -> str:
    return {"O": "Python objects", "c": "complex numbers", "U": "text", "S": "text", "V": "records"}.get(dtype.kind, str(dtype))


def _axes(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _listed(keys: list[str]) -> str:
    shown = [repr(key[:40]) for key in keys[:5]]
    return ", ".join(shown + (["…"] if len(keys) > 5 else [])) or "nothing"
