"""What a run produced: spikes and membranes per node, and what reached the outputs."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import BadStimulus
from nir_interop.npz import Archive
from nir_interop.printable import listed, printable, shape_text, shown

Array = NDArray[Any]

MEMBRANE_SAMPLES = 4
"""Membranes are kept for this many samples of a batch: a convolutional layer's would not fit otherwise."""

_SECTIONS = ("outputs", "spikes", "membranes")


@dataclass(frozen=True, repr=False)
class Recording:
    """Spikes, membranes and outputs of one run.

    outputs : per Output node, what arrived there, axes (T, B, \\*shape): spike counts or values
    spikes : per spiking node, spike counts of each step, axes (T, B, \\*shape); uint8, or float64 where there are more than 255
    membranes : per neuron node, the membrane after the reset [V], float32 or float64,
        axes (T, min(B, MEMBRANE_SAMPLES), \\*shape); only where the backend keeps it
    margin : the smallest distance \\|v − θ\\| of any spike decision in units of θ, or None where unknown
    left_out : nodes of the graph that the model which was run does not hold, where a backend told; they are not saved
    """

    outputs: Mapping[str, Array]
    spikes: Mapping[str, Array] = field(default_factory=dict)
    membranes: Mapping[str, Array] = field(default_factory=dict)
    margin: float | None = None
    left_out: tuple[str, ...] = ()

    @property
    def output(self) -> Array:
        """All outputs, flattened and laid side by side in the order of their names: (T, B, n)."""
        parts = [self.outputs[name] for name in sorted(self.outputs)]
        return np.concatenate([part.reshape(*part.shape[:2], -1) for part in parts], axis=2)

    def __repr__(self) -> str:
        steps, samples = next((array.shape[:2] for array in self.outputs.values()), (0, 0))
        lines = [f"Recording of {steps} steps, {samples} samples"]
        for section in _SECTIONS:
            shapes = [f"{printable(name)} {shape_text(array.shape)}" for name, array in sorted(getattr(self, section).items())]
            lines += [f"{section}: {listed(shapes)}"] if shapes else []
        return "\n".join(lines)

    def digest(self) -> str:
        """SHA-256 of everything recorded; equal recordings have equal digests."""
        sha = hashlib.sha256(repr(self.margin).encode())
        for section in _SECTIONS:
            for name, array in sorted(getattr(self, section).items()):
                sha.update(f"{section}\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
                sha.update(np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()

    def save(self, path: Path, input: Array | None = None) -> None:
        r"""Write an npz whose ``index`` (JSON) says which array is which; names stay out of file names.

        input : (T, B, \*shape); where it is given, it and the whole output, (T, B, n), are written under ``input`` and
            ``output``, too, which is how anybody reads and writes them
        """
        arrays: dict[str, Array] = {} if input is None else {"input": input, "output": self.output}
        index: list[dict[str, Any]] = []
        for section in _SECTIONS:
            for name, array in sorted(getattr(self, section).items()):
                entry: dict[str, Any] = {"section": section, "name": name}
                if array.dtype == np.uint8 and array.size and array.max() <= 1:
                    entry |= {"packed": list(array.shape)}
                    array = np.packbits(array)
                arrays[f"a{len(index)}"] = array
                index.append(entry)
        document = json.dumps({"margin": self.margin, "arrays": index})
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, index=np.array(document), **arrays)

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read what :meth:`save` wrote.

        Raises BadStimulus when the file is something else.
        """
        how = "write one with --save"
        try:
            with Archive(path, how) as archive:
                document = json.loads(str(archive.read(archive.first(("index",)), kinds="U")))
                sections: dict[str, dict[str, Array]] = {section: {} for section in _SECTIONS}
                for number, entry in enumerate(document["arrays"]):
                    array = archive.read(archive.first((f"a{number}",)), copies=8 * ("packed" in entry))
                    if "packed" in entry:
                        shape = tuple(entry["packed"])
                        if -(-math.prod(shape) // 8) != array.size:
                            raise ValueError(f"{array.size} bytes for the shape {shape_text(shape)}")
                        array = np.unpackbits(array, count=math.prod(shape)).reshape(shape)
                    sections[entry["section"]][entry["name"]] = array
                return cls(sections["outputs"], sections["spikes"], sections["membranes"], document["margin"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadStimulus(f"{str(path)!r}: not a recording ({shown(error)[1:-1]}); {how}") from error
