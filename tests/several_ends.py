"""Graphs with two Inputs and two Outputs, and what they mean in a few lines of NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np

DT = 1e-4


def _lif(size: int) -> Any:
    numbers = {"tau": 2e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.4, "v_reset": 0.0}
    return nir.LIF(**{name: np.full(size, value) for name, value in numbers.items()})


def two_ends(path: Path) -> Path:
    """Inputs z (3) and b (2) meet at neurons, which reach the Output late, and weights behind them the Output early."""
    rng = np.random.default_rng(7)
    nodes = {
        "z": nir.Input({"input": np.array([3])}),
        "b": nir.Input({"input": np.array([2])}),
        "wz": nir.Affine(rng.normal(0.5, 1, (4, 3)), rng.normal(0, 0.1, 4)),
        "wb": nir.Linear(rng.normal(0.5, 1, (4, 2))),
        "lif": _lif(4),
        "read": nir.Linear(rng.normal(0, 1, (5, 4))),
        "late": nir.Output({"output": np.array([4])}),
        "early": nir.Output({"output": np.array([5])}),
    }
    edges = [("z", "wz"), ("b", "wb"), ("wz", "lif"), ("wb", "lif"), ("lif", "late"), ("lif", "read"), ("read", "early")]
    nir.write(path, nir.NIRGraph(nodes, edges))
    return path


def inputs(scale: float = 4.0) -> dict[str, Any]:
    """60 steps, 3 samples of each Input of :func:`two_ends`."""
    rng = np.random.default_rng(8)
    return {name: scale * (rng.random((60, 3, size)) < 0.4).astype(np.float32) for name, size in (("b", 2), ("z", 3))}


def by_hand(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The two Outputs of :func:`two_ends`, step by step."""
    nodes = nir.read(path).nodes
    lif, v, late = nodes["lif"], np.zeros((len(given["z"][0]), 4)), []
    for z, b in zip(given["z"], given["b"], strict=True):
        x = z @ nodes["wz"].weight.T + nodes["wz"].bias + b @ nodes["wb"].weight.T
        v = v + DT / lif.tau * (lif.v_leak - v + lif.r * x)
        fired = v > lif.v_threshold
        v = np.where(fired, lif.v_reset, v)
        late.append(fired.astype(float))
    return {"late": np.array(late), "early": np.array(late) @ nodes["read"].weight.T}
