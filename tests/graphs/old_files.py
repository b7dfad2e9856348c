"""One network in the forms in which people have it: as versions of NIR and exporters of several years wrote it.

Written with h5py, group by group, so that nothing of today's NIR has a say in it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

INPUTS, NEURONS = 4, 3
WEIGHT = np.random.default_rng(5).integers(-2, 4, (NEURONS, INPUTS)).astype(np.float32)
TAU, THRESHOLD, DT = 2e-3, 0.37, 1e-4
Layout = dict[str, Any]


def affine(**changed: Any) -> Layout:
    return {"type": "Affine", "weight": WEIGHT, "bias": np.zeros(NEURONS, np.float32)} | changed


def lif(shape: Any = (NEURONS,), dtype: Any = np.float32, **changed: Any) -> Layout:
    values = {"tau": TAU, "r": 1.0, "v_leak": 0.0, "v_threshold": THRESHOLD, "v_reset": 0.0}
    return {"type": "LIF", **{name: np.full(shape, value, dtype) for name, value in values.items()}} | changed


def port(kind: str, *shape: int) -> Layout:
    return {"type": kind, "shape": np.array(shape, np.int64)}


def graph(version: str | None = "1.0.8", edges: Any = None, **nodes: Layout | None) -> Layout:
    """The layout of Input → Affine → LIF → Output with other nodes; those that are None are left out."""
    whole = {"input": port("Input", INPUTS), "fc": affine(), "lif": lif(), "output": port("Output", NEURONS)} | nodes
    kept = {name: each for name, each in whole.items() if each is not None}
    found = {"node": {"type": "NIRGraph", "nodes": kept, "edges": [*pairwise(kept)] if edges is None else edges}}
    return found | ({} if version is None else {"version": version})


def meant(x: NDArray[Any], weight: NDArray[Any] = WEIGHT) -> NDArray[Any]:
    """What all of them mean, in a line of NumPy a step: x (T, B, INPUTS) → spikes (T, B, NEURONS)."""
    v, spikes = np.zeros((x.shape[1], NEURONS)), []
    for frame in x.astype(np.float64):
        v = v + DT / TAU * (frame @ weight.T.astype(np.float64) - v)
        spikes.append(v > np.float64(np.float32(THRESHOLD)))
        v = np.where(spikes[-1], 0.0, v)
    return np.array(spikes, np.float64)


def without(members: Layout, *names: str) -> Layout:
    return {name: value for name, value in members.items() if name not in names}


def nested(inner: Layout, edges: Any) -> Layout:
    return {"type": "NIRGraph", "nodes": inner, "edges": edges}


OUTER = [("input", "fc"), ("fc", "hidden"), ("hidden", "output")]
INNER = [("input", "lif"), ("lif", "output")]


def _hidden(inner: Layout, edges: Any = INNER) -> Layout:
    found = graph(lif=None)
    found["node"]["nodes"]["hidden"] = nested(inner, edges)
    found["node"]["edges"] = OUTER
    return found


def _dotted() -> Layout:
    ends = {"hidden.input": port("Input", NEURONS), "hidden.lif": lif(), "hidden.output": port("Output", NEURONS)}
    edges = [
        ("input", "fc"),
        ("fc", "hidden"),
        ("hidden", "output"),
        ("hidden.input", "hidden.lif"),
        ("hidden.lif", "hidden.output"),
    ]
    return graph(version="0.2.0", lif=None, edges=edges, **ends)


def _of_july_2023(**changed: Any) -> Layout:
    """Nodes in a list, edges between their places, and neither Input nor Output."""
    nodes = {"0": affine(), "1": without(lif(), "v_reset")} | changed
    return {"node": {"type": "NIRGraph", "nodes": nodes, "edges": np.array([[0, 1]])}}


def _of_nir_0_0() -> Layout:
    dense = {"type": "Linear", "weights": WEIGHT, "bias": np.zeros(NEURONS, np.float32)}
    neurons = without(lif(), "v_reset", "v_threshold") | {"theta": np.full(NEURONS, THRESHOLD, np.float32)}
    return {"nodes": {"0": dense, "1": neurons}, "edges": np.array([[0, 1]])}


def _oddly_named() -> Layout:
    edges = [("input", "0 fc"), ("0 fc", "if"), ("if", "output")]
    return graph(fc=None, lif=None, edges=edges, **{"0 fc": affine(), "if": lif()})


Made = Callable[[], Layout]

FORMS: dict[str, tuple[Made, tuple[str, ...]]] = {
    "today's": (lambda: graph(), ()),
    "numbers without axes": (
        lambda: graph(lif=lif(())),
        ("r, tau, v_leak, v_reset, v_threshold of LIF 'lif': one number → (3,)",),
    ),
    "arrays of one": (lambda: graph(lif=lif((1,))), ("r, tau, v_leak, v_reset, v_threshold of LIF 'lif': (1,) → (3,)",)),
    "one number among many": (lambda: graph(lif=lif(r=np.float32(1))), ("r of LIF 'lif': one number → (3,)",)),
    "a number and an array of one": (
        lambda: graph(lif=lif((1,), tau=np.float32(TAU))),
        ("r, v_leak, v_reset, v_threshold of LIF 'lif': (1,) → (3,)", "tau of LIF 'lif': one number → (3,)"),
    ),
    "axes of one": (lambda: graph(lif=lif((1, 1, 1))), ("of shape (1, 1, 1): read as (3,)",)),
    "a batch of one in the neurons": (lambda: graph(lif=lif((1, 3))), ("of shape (1, 3): read as (3,)",)),
    "integers as weights": (lambda: graph(fc=affine(weight=WEIGHT.astype(int))), ("weight of Affine 'fc': int64 → float32",)),
    "small integers": (lambda: graph(fc=affine(weight=WEIGHT.astype(np.int8))), ("weight of Affine 'fc': int8 → float32",)),
    "half precision": (lambda: graph(fc=affine(weight=WEIGHT.astype("f2"))), ("weight of Affine 'fc': float16 → float32",)),
    "double precision": (lambda: graph(fc=affine(weight=WEIGHT.astype("f8"))), ()),
    "bytes the other way round": (lambda: graph(fc=affine(weight=WEIGHT.astype(">f4"))), ()),
    "integers in the neurons": (
        lambda: graph(lif=lif(v_leak=np.zeros(NEURONS, int), v_reset=np.zeros(NEURONS, int))),
        ("v_leak, v_reset of LIF 'lif': int64 → float32",),
    ),
    "a bias that is False": (lambda: graph(fc=affine(bias=False)), ("the bias of 'fc' is False: read as none",)),
    "a bias of truth values": (
        lambda: graph(fc=affine(bias=np.zeros(NEURONS, bool))),
        ("bias of 'fc' is made of",),
    ),
    "a bias of one number": (lambda: graph(fc=affine(bias=np.float32(0))), ("bias of Affine 'fc': one number → (3,)",)),
    "no bias": (lambda: graph(fc=without(affine(), "bias")), ("there is no bias at 'fc': read as none",)),
    "a batch of one in Input and Output": (
        lambda: graph(input=port("Input", 1, INPUTS), output=port("Output", 1, NEURONS)),
        ("whose first axis is a batch of 1: read as (4,)",),
    ),
    "a batch of one everywhere": (
        lambda: graph(input=port("Input", 1, INPUTS), lif=lif((1, NEURONS)), output=port("Output", 1, NEURONS)),
        ("the Input 'input' has shape (1, 4), whose first axis is a batch of 1: read as (4,)",),
    ),
    "time in the Input": (lambda: graph(input=port("Input", 256, INPUTS)), ("read as (4,)",)),
    "axes of one in the Output": (lambda: graph(output=port("Output", 1, 1, NEURONS)), ("says shape (1, 1, 3)",)),
    "an Output without axes": (lambda: graph(output=port("Output")), ("says shape (), what comes in has (3,)",)),
    "an Input without axes": (lambda: graph(input=port("Input")), ("the Input 'input' has no axes: read as (4,)",)),
    "both without axes": (
        lambda: graph(input=port("Input"), output=port("Output"), lif=lif(())),
        ("has no axes", "says shape ()"),
    ),
    "an Output without a shape": (lambda: graph(output={"type": "Output"}), ("says no shape, what comes in has (3,)",)),
    "a shape of floats": (lambda: graph(input={"type": "Input", "shape": np.array([4.0])}), ("shape of Input 'input'",)),
    "NIR 1.0.0": (
        lambda: graph(version="1.0.0", lif=without(lif(), "v_reset")),
        ("v_reset is not in the file at 'lif'", "1.0.0 → 1.0.8"),
    ),
    "NIR 0.2": (lambda: graph(version="0.2.0", lif=without(lif(()), "v_reset")), ("0.2.0 → 1.0.8", "one number → (3,)")),
    "NIR 0.1": (lambda: graph(version=None), ("the version of the file: missing → 1.0.8",)),
    "a state between two releases": (lambda: graph(version="nir@7883c3c"), ("nir@7883c3c → 1.0.8",)),
    "a development version": (lambda: graph(version="0.1.dev241+g6189cac.d20250602"), ("0.1.dev241",)),
    "a group written flat": (_dotted, ("edges name 'hidden', nodes begin with 'hidden.': read as the subgraph 'hidden'",)),
    "a neuron under the name of its group": (
        lambda: graph(lif=None, edges=[("input", "fc"), ("fc", "lif1"), ("lif1", "output")], **{"lif1.lif": lif()}),
        ("edges name 'lif1', which is not there: read as 'lif1.lif'",),
    ),
    "inner edges to another name": (
        lambda: _hidden({"input": port("Input", NEURONS), "lif1": lif(), "output": port("Output", NEURONS)}),
        ("edges of subgraph 'hidden' name 'lif', which is not there",),
    ),
    "an inner Input of another shape": (
        lambda: _hidden({"input": port("Input", INPUTS), "lif": lif(), "output": port("Output", NEURONS)}),
        ("the Input 'hidden.input' says shape (4,), what comes in has (3,): read as that",),
    ),
    "numbers without axes in a subgraph": (
        lambda: _hidden({"input": port("Input", NEURONS), "lif": lif(()), "output": port("Output", NEURONS)}),
        ("of LIF 'hidden.lif': one number → (3,)",),
    ),
    "no ends": (
        lambda: graph(input=None, output=None),
        (
            "the graph has no Input: read with one of shape (4,) into 'fc'",
            "the graph has no Output: read with one behind 'lif'",
        ),
    ),
    "no Output": (lambda: graph(output=None), ("the graph has no Output: read with one behind 'lif', as nir.read does",)),
    "July 2023": (_of_july_2023, ("missing → 1.0.8", "has no Input", "has no Output", "v_reset is not in the file at '1'")),
    "NIR 0.0": (
        _of_nir_0_0,
        ("as NIR 0.0 wrote it", "weights of '0': read as weight", "theta of '1': read as v_threshold", "read as Affine"),
    ),
    "an edge twice": (
        lambda: graph(edges=[("input", "fc"), ("fc", "lif"), ("fc", "lif"), ("lif", "output")]),
        ("1 edge is there more than once",),
    ),
    "types with each node": (
        lambda: graph(lif=lif(input_type={"input": np.array([3])}, output_type={"output": np.array([3])})),
        (),
    ),
    "metadata": (lambda: graph(lif=lif(metadata={"note": "mine", "rate": 3.0})), ()),
    "names that no library takes": (
        lambda: graph(
            fc=None, lif=None, edges=[("input", "0 fc"), ("0 fc", "if"), ("if", "output")], **{"0 fc": affine(), "if": lif()}
        ),
        ("the name of '0 fc'", "the name of 'if'"),
    ),
}
"""Name → what makes the layout, and what is said of it."""


def write(path: Path, layout: Layout, **storage: Any) -> Path:
    """Write a layout; arrays with axes as ``storage`` says."""

    def fill(group: h5py.Group, members: Layout) -> None:
        for name, value in members.items():
            if isinstance(value, dict):
                fill(group.create_group(name), value)
            elif isinstance(value, np.ndarray) and value.ndim:
                group.create_dataset(name, data=value, **storage)
            else:
                group[name] = value

    with h5py.File(path, "w") as file:
        fill(file, copy.deepcopy(layout))
    return path


def written(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every form, in a file of a folder."""
    for number, (name, (make, _)) in enumerate(FORMS.items()):
        yield name, write(folder / f"{number}.nir", make())
