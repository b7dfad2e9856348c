"""A user's own input, and what came out for it: npz files with the keys ``input`` and ``output``, or arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import BadStimulus
from nir_interop.npz import REAL, Archive, Check
from nir_interop.printable import printable, shape_text
from nir_interop.stimuli.stimulus import Stimulus

KEY = "input"

_HOW = "write one with numpy.savez(path, input=array), axes (T, B, *shape)"


def load_stimulus(path: Path, shape: tuple[int, ...] | None) -> Stimulus:
    """The input in an npz file: key ``input``, axes (T, B, \\*shape), any real numbers; float32 from here on.

    shape : of the graph's input at one step, without batch; None where any will do

    Raises BadStimulus where the file is none of that, holds values that are not finite, no steps or samples, or more
    than ``--memory-limit`` allows; what its header declares is checked before anything of its size is allocated.
    """
    check = _fits(f"{KEY!r} in {str(path)!r}", shape)
    return Stimulus(_array(path, (KEY,), _HOW, check), None, "file", "given", 0)


def load_output(path: Path, stimulus: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""What came out for the input in the same npz file: key ``output``, or ``expected``, axes (T, B, \*shape).

    Raises BadStimulus as :func:`load_stimulus` does, and where it is not of the input's steps and samples.
    """
    check = _of_input(f"the output in {str(path)!r}", stimulus)
    return _array(path, ("output", "expected"), "write what was computed with numpy.savez(path, input=…, output=…)", check)


def load_labels(path: Path) -> NDArray[np.int64] | None:
    """The right class of each sample, (B,), in the same npz file: key ``labels``; None where it has none.

    Raises BadStimulus for what are no whole numbers of that axis.
    """
    how = "write numpy.savez(path, input=…, labels=…), a whole number a sample"
    with Archive(path, how) as archive:
        if "labels" not in archive:
            return None
        labels = archive.read("labels", kinds="iu")
        if labels.ndim != 1:
            raise BadStimulus(f"'labels' in {archive.name} has axes {shape_text(labels.shape)}; {how}")
        return labels.astype(np.int64)


def given_stimulus(values: Any, shape: tuple[int, ...] | None) -> NDArray[np.float32]:
    r"""An input that a caller gave as an array or a tensor of any real numbers, axes (T, B, \*shape); float32 from here on.

    Raises BadStimulus as :func:`load_stimulus` does.
    """
    return _given(values, "the input", _fits("the input", shape))


def given_output(values: Any, stimulus: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""What came out for an input, as an array or a tensor, axes (T, B, \*shape).

    Raises BadStimulus as :func:`load_output` does.
    """
    return _given(values, "the output", _of_input("the output", stimulus))


def _fits(what: str, shape: tuple[int, ...] | None) -> Check:
    def check(found: tuple[int, ...]) -> None:
        if shape is None:
            if len(found) < 3:
                raise BadStimulus(f"{what} has {len(found)} axes; give (T, B, *shape): steps, samples, and the shape of one")
            return
        if len(found) != 2 + len(shape):
            raise BadStimulus(f"{what} has {len(found)} axes, the graph needs {2 + len(shape)}: (T, B, {_axes(shape)})")
        if found[2:] != shape:
            raise BadStimulus(
                f"{what} has samples of shape {shape_text(found[2:])}, the graph's input takes {shape_text(shape)}"
            )

    return check


def _of_input(what: str, stimulus: NDArray[np.float32]) -> Check:
    def check(found: tuple[int, ...]) -> None:
        if found[:2] != stimulus.shape[:2] or len(found) < 3:
            wanted = f"the input has {stimulus.shape}: write (T, B, *shape)"
            raise BadStimulus(f"{what} has axes {shape_text(found)}; {wanted}")

    return check


def _given(values: Any, what: str, check: Check) -> NDArray[np.float32]:
    """A float32 copy of an array or a tensor, looked at as one in a file is."""
    try:
        array = np.asarray(values.detach().cpu().numpy() if hasattr(values, "detach") else values)
    except Exception as error:  # a tensor without memory, of a type that numpy lacks; anything that is no array
        why = printable(" ".join(str(error).split())[:100])
        raise BadStimulus(f"{what} is {type(values).__name__}, no array of numbers ({why}); give float32") from error
    if array.dtype.kind not in REAL:
        raise BadStimulus(f"{what} holds {array.dtype}, not real numbers; give float32")
    check(array.shape)
    if not array.size:
        raise BadStimulus(f"{what} has axes {shape_text(array.shape)}: one of them is empty; give (T, B, *shape)")
    return _single(array, what)


def _array(path: Path, keys: tuple[str, ...], how: str, check: Check) -> NDArray[np.float32]:
    """The array under the first key that there is, as float32."""
    with Archive(path, how) as archive:
        key = archive.first(keys)
        given = archive.read(key, check, copies=_COPIES)
    return _single(given, f"{key!r} in {archive.name}")


def _single(given: NDArray[Any], what: str) -> NDArray[np.float32]:
    """A copy in single precision.  Raises BadStimulus for values that are not finite there."""
    with np.errstate(over="ignore"):
        values: NDArray[np.float32] = given.astype(np.float32)
    if not np.all(np.isfinite(values)):
        raise BadStimulus(f"{what} holds NaN or values beyond float32; remove them")
    return values


_COPIES = 5
"""Bytes for each element besides: in single precision, and whether it is finite."""


def _axes(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
