"""A user's own input, and what came out for it: npz files with the keys ``input`` and ``output``, or arrays.

Of a graph with several Inputs a file has an array for each by its name, and a caller gives a mapping; or all of them stand side
by side under ``input``, (T, B, n), each flattened and in the order of their names, which is how recordings are saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import BadStimulus
from nir_interop.npz import REAL, Archive, Check
from nir_interop.printable import listed, printable, shape_text, shown
from nir_interop.stimuli.stimulus import Stimulus

KEY = "input"

_HOW = "write one with numpy.savez(path, input=array), axes (T, B, *shape)"
_INDEX = "index"
"""What a recording has beside its arrays."""
HOW_BY_NAME = "write an array for each Input by its name, numpy.savez(path, a=array, b=array), axes (T, B, *shape)"


def load_stimulus(path: Path, shape: tuple[int, ...] | None, key: str = KEY) -> Stimulus:
    """The input in an npz file: key ``input``, axes (T, B, \\*shape), any real numbers; float32 from here on.

    shape : of the graph's input at one step, without batch; None where any will do
    key : another key, of one of several Inputs

    Raises BadStimulus where the file is none of that, holds values that are not finite, no steps or samples, or more
    than ``--memory-limit`` allows; what its header declares is checked before anything of its size is allocated.
    """
    check = _fits(f"{key!r} in {str(path)!r}", shape)
    return Stimulus(_array(path, (key,), _HOW, check), None, "file", "given", 0)


def by_name(path: Path, inputs: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether an npz file has an array for each of several Inputs by its name; else all of them side by side under ``input``.

    inputs : name → shape of a sample

    Raises BadStimulus where it has neither.
    """
    with Archive(path, HOW_BY_NAME) as archive:
        if KEY in archive and _INDEX in archive and _INDEX not in inputs:
            return False  # a recording, whose other arrays have names of their own
        missing = [name for name in sorted(inputs) if name not in archive]
        if not missing:
            return True
        if KEY in archive and len(missing) == len({*inputs} - {KEY}):
            return False
    raise BadStimulus(f"{str(path)!r} has nothing for {_named(missing, inputs)}; {HOW_BY_NAME}")


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


def given_stimulus(values: Any, shape: tuple[int, ...] | None, what: str = "the input") -> NDArray[np.float32]:
    r"""An input that a caller gave as an array or a tensor of any real numbers, axes (T, B, \*shape); float32 from here on.

    Raises BadStimulus as :func:`load_stimulus` does.
    """
    return _given(values, what, _fits(what, shape))


def check_names(given: Mapping[Any, Any], inputs: Mapping[str, tuple[int, ...]]) -> None:
    """Raise BadStimulus for a mapping that has not exactly the names of a graph's Inputs."""
    missing = [name for name in sorted(inputs) if name not in given]
    if missing:
        raise BadStimulus(f"the input has nothing for {_named(missing, inputs)}; give an array for each Input by its name")
    others = sorted(shown(name) for name in given if name not in inputs)
    if others:
        raise BadStimulus(f"the input has {others[0]}, which is no Input of the graph; it has {_named([*inputs], inputs)}")


@contextmanager
def each_by_name(inputs: Mapping[str, tuple[int, ...]]) -> Iterator[None]:
    """Where one array for several Inputs does not fit, what they are is said as well."""
    try:
        yield
    except BadStimulus as error:
        if len(inputs) == 1:
            raise
        told = f"the graph has {_named([*inputs], inputs)}: give an array for each by its name, or all side by side"
        raise BadStimulus(f"{error}; {told}") from error


def side_by_side(parts: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    r"""Several Inputs, axes (T, B, \*shape) each, as one array (T, B, n), in the order of their names.

    Raises BadStimulus where they are not of the same steps and samples.
    """
    (first, one), *others = sorted(parts.items())
    for name, other in others:
        if other.shape[:2] != one.shape[:2]:
            steps, samples = other.shape[:2]
            differ = f"{steps} steps and {samples} samples, and that for {shown(first)} {one.shape[0]} and {one.shape[1]}"
            raise BadStimulus(f"the input for {shown(name)} has {differ}; give all Inputs the same")
    return np.concatenate([part.reshape(*part.shape[:2], -1) for _, part in sorted(parts.items())], axis=2)


def _named(names: list[str], inputs: Mapping[str, tuple[int, ...]]) -> str:
    """Inputs with their shapes, for a sentence."""
    told = [f"{shown(name)} ({_axes(('T', 'B', *inputs[name]))})" for name in sorted(names)]
    return f"Input{'s' if len(told) > 1 else ''} {listed(told)}"


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


def _axes(shape: tuple[object, ...]) -> str:
    return ", ".join(map(str, shape))
