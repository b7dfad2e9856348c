r"""What the time step does: each neuron of each backend from coarse to fine steps, at equal physical time.

One neuron gets a current that is constant on the coarsest grid, so that every finer grid sees the same input in seconds.
Its spike times are held against the continuous solution, paired in order; a spike of step *k* is counted at its middle,
:math:`(k + ½)\,dt`, so that no grid can do better than :math:`dt/2`.  Orders of convergence are claimed for these single
neurons only: in a network a spike's width is the step, and does not converge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.agreement.side import RunGraph
from nir_interop.backends.environments import Backend
from nir_interop.errors import RunFailed
from nir_interop.graphs import Graph, Node
from nir_interop.recording import Recording
from nir_interop.reference.exact import exact_neuron, spike_times
from nir_interop.vocabulary import Status
from nir_interop.workers.live import LiveBackend

Array = NDArray[Any]
Row = dict[str, Any]
STEPS = (1e-3, 5e-4, 2e-4, 1e-4, 5e-5, 2e-5, 1e-5, 5e-6, 2e-6, 1e-6)
"""Time steps [s]; each divides the first."""
DURATION = 2e-2
"""Physical time [s]."""
SAMPLES = 4
FEWEST = 3
"""Time steps that an order of convergence needs."""

NEURONS: dict[str, dict[str, float]] = {
    "IF": {"r": 1e4, "v_reset": 0.0, "v_threshold": 1.0},
    "LIF": {"tau": 5e-3, "r": 1.0, "v_leak": 0.0, "v_reset": 0.0, "v_threshold": 1.0},
    "CubaLIF": {"tau_syn": 4e-3, "tau_mem": 5e-3, "r": 50.0, "v_leak": 0.0, "v_reset": 0.0, "w_in": 40.0, "v_threshold": 1.0},
    "LI": {"tau": 5e-3, "r": 1.0, "v_leak": 0.0},
}
"""Primitive → parameters, the same at every step.  Some libraries take an IF only at r = 1/dt and a CubaLIF only at
r = τ_mem/dt and w_in = τ_syn/dt: these are such at dt = 1e-4 s, so that they are refused elsewhere, or wrong."""
CURRENTS: dict[str, tuple[float, float]] = {"IF": (0.01, 0.06), "LIF": (1.2, 4.0), "CubaLIF": (8e-4, 2.5e-3), "LI": (-1.0, 1.0)}
"""Primitive → range of the input [A]."""
ROUNDING = 1e-6
"""Errors [V] below this are float32's, not the step's, and take no part in an order."""


def sweep(
    backends: Iterable[Backend], *, steps: Sequence[float] = STEPS, seed: int = 0, limit: float = 60.0,
    on_row: Callable[[Row], None] | None = None,
) -> list[Row]:  # fmt: skip
    """One row per backend, neuron primitive and time step, with the columns of dt_sweep.csv."""
    rows: list[Row] = []
    for backend in backends:
        with LiveBackend(backend, limit=limit, seed=seed) as run:
            for kind in NEURONS:
                series = sweep_neuron(run, kind, steps, seed)
                for row in series:
                    rows.append({"backend": backend.name, "version": backend.version or None} | row)
                    if on_row is not None:
                        on_row(rows[-1])
    return rows


def sweep_neuron(run: RunGraph, kind: str, steps: Sequence[float], seed: int) -> list[Row]:
    """One row per time step for one primitive; the fitted orders stand in each."""
    coarse = _current(kind, max(steps), seed)
    series = [_row(run, kind, coarse, max(steps), dt) for dt in steps]
    clean = [row for row in series if row["status"] == "ok" and not row["missing"] and not row["extra"]]
    orders = {f"{what}_order": _order(clean, what) for what in ("spike_time_error", "membrane_error")}
    return [row | orders for row in series]


def _row(run: RunGraph, kind: str, coarse: Array, coarsest: float, dt: float) -> Row:
    repeats = round(coarsest / dt)
    current = np.repeat(coarse, repeats, axis=0)
    row: Row = {"subject": kind, "dt": dt, "steps": len(current), "floor": dt / 2}
    node = _node(kind)
    try:
        recording = run(_graph(node), current[:, :, None].astype(np.float32), dt)
    except RunFailed as error:
        return row | {"status": error.status, "error_message": str(error.message), "missing": None, "extra": None}
    if recording.output.shape != (*current.shape, 1):
        return row | {"status": str(Status.WRONG_SHAPE), "missing": None, "extra": None}
    return row | {"status": "ok"} | _errors(node, recording, coarse, coarsest, current, dt)


def _errors(node: Node, recording: Recording, coarse: Array, coarsest: float, current: Array, dt: float) -> Row:
    solved = exact_neuron(node, (current.shape[1],), dt)
    membranes = solved.sequence(current[:, None], solved.start(1))[1][:, 0]
    found: Row = {"spikes": None, "spikes_exact": None, "missing": 0, "extra": 0, "spike_time_error": None}
    quiet = np.full(current.shape[1], len(current))
    if "v_threshold" in node.params:
        exact = spike_times(node, coarse, coarsest)
        counts = recording.output[:, :, 0].astype(np.int64).T
        mine = [(np.repeat(np.arange(len(train)), train) + 0.5) * dt for train in counts]
        found = _paired(mine, exact) | {"spikes": int(counts.sum()), "spikes_exact": sum(len(times) for times in exact)}
        quiet = np.array([_first(one, other) for one, other in zip(mine, exact, strict=True)]) / dt
    seen = next(iter(recording.membranes.values()), None)
    values = recording.output if "v_threshold" not in node.params else seen
    found["membrane_error"] = None if values is None else _quiet_error(values[:, :, 0], membranes, quiet)
    return found


def _paired(mine: Sequence[Array], exact: Sequence[Array]) -> Row:
    """Spikes paired in order, train by train; what one side has more is missing or extra."""
    errors = [np.abs(one[: len(other)] - other[: len(one)]) for one, other in zip(mine, exact, strict=True)]
    joined = np.concatenate(errors)
    return {
        "missing": sum(max(0, len(other) - len(one)) for one, other in zip(mine, exact, strict=True)),
        "extra": sum(max(0, len(one) - len(other)) for one, other in zip(mine, exact, strict=True)),
        "spike_time_error": float(joined.mean()) if joined.size else None,
    }


def _first(one: Array, other: Array) -> float:
    return float(min([DURATION, *one[:1], *other[:1]]))


def _quiet_error(values: Any, exact: Array, quiet: NDArray[Any]) -> float | None:
    """Root mean square of the membrane's error [V] before the first spike of either side, over the recorded samples."""
    parts = [
        np.asarray(values[: int(until), sample], dtype=np.float64) - exact[: int(until), sample]
        for sample, until in enumerate(quiet[: values.shape[1]])
    ]
    joined = np.concatenate(parts)
    return float(np.sqrt(np.mean(joined**2))) if joined.size else None


def _order(rows: Sequence[Row], what: str) -> float | None:
    """The slope of log error over log dt, by least squares."""
    least = ROUNDING if what == "membrane_error" else 0.0
    points = [(np.log(row["dt"]), np.log(row[what])) for row in rows if (row.get(what) or 0.0) > least]
    if len(points) < FEWEST:
        return None
    x, y = np.array(points).T
    return float(np.polyfit(x, y, 1)[0])


def _current(kind: str, step: float, seed: int) -> Array:
    """Input [A], (T, samples), one value a coarse step; a whole float32, so that every library gets the same."""
    low, high = CURRENTS[kind]
    drawn = np.random.default_rng([seed, len(kind)]).uniform(low, high, (round(DURATION / step), SAMPLES))
    return drawn.astype(np.float32).astype(np.float64)


def _node(kind: str) -> Node:
    return Node(kind, {name: np.array([value], dtype=np.float32) for name, value in NEURONS[kind].items()})


def _graph(node: Node) -> Graph:
    one = np.array([1])
    nodes = {
        "input": Node("Input", {"shape": one}),
        "current": Node("Affine", {"weight": np.ones((1, 1), np.float32), "bias": np.zeros(1, np.float32)}),
        "neuron": node,
        "output": Node("Output", {"shape": one}),
    }
    return Graph(nodes, (("input", "current"), ("current", "neuron"), ("neuron", "output")))
