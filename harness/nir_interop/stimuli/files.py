"""A user's own input, and what came out for it: npz files with the keys ``input`` and ``output``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import BadStimulus
from nir_interop.npz import Archive, Check
from nir_interop.printable import shape_text
from nir_interop.stimuli.stimulus import Stimulus

KEY = "input"

_HOW = "write one with numpy.savez(path, input=array), axes (T, B, *shape)"


def load_stimulus(path: Path, shape: tuple[int, ...]) -> Stimulus:
    """The input in an npz file: key ``input``, axes (T, B, \\*shape), any real numbers; float32 from here on.

    shape : of the graph's input at one step, without batch

    Raises BadStimulus where the file is none of that, holds values that are not finite, no steps or samples, or more
    than ``--memory-limit`` allows; what its header declares is checked before anything of its size is allocated.
    """
    shown = repr(str(path))

    def check(found: tuple[int, ...]) -> None:
        if len(found) != 2 + len(shape):
            raise BadStimulus(
                f"{KEY!r} in {shown} has {len(found)} axes, the graph needs {2 + len(shape)}: (T, B, {_axes(shape)})"
            )
        if found[2:] != shape:
            raise BadStimulus(
                f"{KEY!r} in {shown} has samples of shape {shape_text(found[2:])}, the graph's input takes {shape_text(shape)}"
            )

    return Stimulus(_array(path, (KEY,), _HOW, check), None, "file", "given", 0)


def load_output(path: Path, stimulus: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""What came out for the input in the same npz file: key ``output``, or ``expected``, axes (T, B, \*shape).

    Raises BadStimulus as :func:`load_stimulus` does, and where it is not of the input's steps and samples.
    """

    def check(found: tuple[int, ...]) -> None:
        if found[:2] != stimulus.shape[:2] or len(found) < 3:
            wanted = f"the input has {stimulus.shape}: write (T, B, *shape)"
            raise BadStimulus(f"the output in {str(path)!r} has axes {shape_text(found)}; {wanted}")

    return _array(path, ("output", "expected"), "write what was computed with numpy.savez(path, input=…, output=…)", check)


def _array(path: Path, keys: tuple[str, ...], how: str, check: Check) -> NDArray[np.float32]:
    """The array under the first key that there is, as float32."""
    with Archive(path, how) as archive:
        key = archive.first(keys)
        given = archive.read(key, check, copies=_COPIES)
    with np.errstate(over="ignore"):
        values: NDArray[np.float32] = given.astype(np.float32)
    if not np.all(np.isfinite(values)):
        raise BadStimulus(f"{key!r} in {archive.name} holds NaN or values beyond float32; remove them")
    return values


_COPIES = 5
"""Bytes for each element besides: in single precision, and whether it is finite."""


def _axes(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
