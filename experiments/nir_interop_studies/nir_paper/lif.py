"""One neuron: every backend and every published trace against each other, and the rule that gives each trace.

The traces have 1000 steps of 0.1 ms.  Their membranes are in units of each platform's own; the factor is fitted, and only
factors that are known to occur are taken for one: volts, the folded gain τ/dt = 25, V/θ.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import RunFailed
from nir_interop.graphs import Graph, read
from nir_interop.reference import Simulator
from nir_interop.rule import NIR_MEANING, Decay, Gain, ResetKind, SpikeFrom, Timing, UpdateRule
from nir_interop.workers.live import LiveBackend
from nir_interop_studies.nir_paper.paper import LIF_GRAPH, Paper, spike_steps

Array = NDArray[Any]

DT = 1e-4
SAME = 1e-6
"""A membrane within so many volts of the rule's is the rule's: the traces are in single precision."""

HARDWARE = {"lava_loihi_fixed": "Loihi", "spinnaker2": "SpiNNaker2"}
"""Traces that come from a chip."""

_UNITS = (1.0, 25.0, 10.0)
_UNIT_WITHIN = 1e-3


@dataclass(frozen=True, eq=False)
class Made:
    """What somebody made of the paper's neuron: spikes and membrane, axes (T,); or why there is nothing."""

    spikes: Array | None
    membrane: Array | None
    failed: str = ""


@dataclass(frozen=True, eq=False)
class Neuron:
    """The neuron and what it is fed.

    current : axes (T, 1, 1)
    dataset : what the current is
    """

    graph: Graph
    current: Array
    dataset: str


def published(paper: Paper) -> Neuron:
    """The paper's neuron, and the input of all its traces."""
    current = np.loadtxt(paper.graph("lif_norse.csv"), delimiter=",")[:, 0].reshape(-1, 1, 1).astype(np.float32)
    return Neuron(read(paper.graph(LIF_GRAPH)), current, "the paper's spike train")


def run_backend(given: Neuron, live: LiveBackend) -> Made:
    """What a backend makes of the neuron, as it is, at the paper's step."""
    try:
        recording = live(given.graph, given.current, DT)
    except RunFailed as error:
        return Made(None, None, str(error))
    membranes = [each.ravel() for each in recording.membranes.values()]
    return Made(recording.output.ravel(), membranes[0] if membranes else None)


BACKEND_COLUMNS = (
    "dataset", "trace", "hardware", "backend", "version", "status", "spikes_published", "spikes_backend", "steps_differing",
    "scale", "v_max_abs", "v_rmse",
)  # fmt: skip


def backend_rows(
    given: Neuron, traces: Mapping[str, Array], made: Mapping[str, Made], versions: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """One row a trace and a backend; membranes in volts, after the trace's unit has been fitted."""
    for (name, trace), (backend, run) in itertools.product(traces.items(), made.items()):
        row: dict[str, Any] = dict.fromkeys(BACKEND_COLUMNS)
        row |= {"dataset": given.dataset, "trace": name, "hardware": HARDWARE.get(name)}
        row |= {"backend": backend, "version": versions[backend]}
        row |= {"status": run.failed or "ran", "spikes_published": _shown(trace[:, 2])}
        if run.spikes is not None:
            row |= {"spikes_backend": _shown(run.spikes), "steps_differing": int((run.spikes != trace[:, 2]).sum())}
        if run.membrane is not None:
            scale, gap = _fit(run.membrane / _unit(run.membrane), trace[:, 1])
            row |= {"scale": scale, "v_max_abs": np.abs(gap).max(), "v_rmse": np.sqrt((gap**2).mean())}
        yield row


RULE_COLUMNS = (
    "dataset", "trace", "hardware", "spikes", "offset_to_exact", "v_rmse_to_exact", "explained", "rule", "read_late", "scale",
    "steps_differing", "v_max_abs", "v_steps_differing", "ties",
)  # fmt: skip


def rule_rows(given: Neuron, traces: Mapping[str, Array], exact: Made) -> Iterator[dict[str, Any]]:
    """One row a trace: the rule that gives it, and how far it is from the continuous solution."""
    candidates = list(_candidates(given.graph, given.current))
    for name, trace in traces.items():
        found = _integers(given.current, trace) if _is_integer(trace) else _explained(candidates, trace)
        if name == "exact" and exact.spikes is not None and exact.membrane is not None:
            _, gap = _fit(exact.membrane, trace[:, 1])
            same = bool((exact.spikes == trace[:, 2]).all() and np.abs(gap).max() < SAME)
            if same:
                rule = "the equation itself, solved in continuous time"
                found = {
                    **_nothing(), "explained": True, "rule": rule, "scale": 1.0, "steps_differing": 0,
                    "v_max_abs": np.abs(gap).max(), "read_late": 0, "v_steps_differing": 0,
                }  # fmt: skip
        yield {
            "dataset": given.dataset,
            "trace": name,
            "hardware": HARDWARE.get(name),
            "spikes": _shown(trace[:, 2]),
            **_against(exact, trace),
            **found,
        }


@dataclass(frozen=True, eq=False)
class _Candidate:
    rule: UpdateRule
    scaled: float
    spikes: Array
    membrane: Array


def _candidates(graph: Graph, current: Array) -> Iterator[_Candidate]:
    """All rules of some axes on which published platforms are known to differ."""
    (neuron,) = (graph.nodes[name] for name in graph.of_kind("LIF"))
    folded = DT / float(neuron["tau"].flat[0])  # type: ignore[index]
    axes = (Decay.EULER, Decay.EXPONENTIAL), (Gain.STEP, Gain.COMPLEMENT, Gain.JUMP), (ResetKind.TO_VALUE, ResetKind.SUBTRACT)
    timings = (Timing.SAME_STEP, Timing.NEXT_STEP)
    for decay, gain, reset, timing, spike_from in itertools.product(*axes, timings, SpikeFrom):
        rule = NIR_MEANING.but(decay=decay, gain=gain, reset=reset, timing=timing, spike_from=spike_from)
        scaled = folded if gain is Gain.JUMP else 1.0
        recording, _ = Simulator(graph, DT, rule).run(current * scaled)
        (membrane,) = recording.membranes.values()
        yield _Candidate(rule, scaled, recording.output.ravel(), membrane.ravel())


def _explained(candidates: Sequence[_Candidate], trace: Array) -> dict[str, Any]:
    """The rule whose spikes and membrane are the trace's, read in the same step or a step late."""
    fits = []
    for each, late_spike, late_membrane in itertools.product(candidates, (0, 1), (0, 1)):
        spikes, membrane = _late(each.spikes, late_spike), _late(each.membrane, late_membrane)
        scale, gap = _fit(membrane, trace[:, 1])
        missed, far = int((spikes != trace[:, 2]).sum()), float(np.abs(gap).max())
        known = min(abs(scale / unit - 1) for unit in _UNITS)
        odd = len(_axes(each.rule)) + late_spike + late_membrane
        fits.append(((missed, known > _UNIT_WITHIN, round(far, 9), odd), each, (late_spike, late_membrane), scale, far))
    fits.sort(key=lambda fit: fit[0])
    key, best, late, scale, far = fits[0]
    tied = [fit for fit in fits[1:] if fit[0][:3] == key[:3] and far < SAME]
    return {
        "explained": key[0] == 0 and not key[1] and far < SAME,
        "rule": _named(best.rule, best.scaled),
        "read_late": "/".join(map(str, late)) if late[0] != late[1] else late[0],
        "scale": scale,
        "steps_differing": key[0],
        "v_max_abs": far,
        "v_steps_differing": 0 if far < SAME else None,
        "ties": "; ".join(dict.fromkeys(_tie(fit[1], fit[2]) for fit in tied)) or None,
    }


_WORDS = 16_384
"""Units of a fixed-point membrane per volt: 2^14."""


def _integers(current: Array, trace: Array) -> dict[str, Any]:
    r"""The same for a trace of whole numbers: :math:`v \leftarrow \mathrm{trunc}(v\,(4096 - d)/4096) + w\,x`, to 0 above θ.

    The decay :math:`d = 4096\,dt/\tau` = 163.84 is rounded or cut, the weight :math:`w = 2^{14} dt/\tau` = 655.36 is rounded,
    or kept as a mantissa of 8 bits with an exponent of 6, a multiple of 64.
    """
    share = 0.04
    decays = {"the decay rounded": round(4096 * share), "the decay cut": int(4096 * share)}
    weights = {"the weight rounded": round(_WORDS * share), "the weight in units of 2^6": round(_WORDS * share / 64) * 64}
    fits = []
    for (cut, decay), (kept, weight), late in itertools.product(decays.items(), weights.items(), (0, 1)):
        spikes, membrane = _fixed(current.ravel(), decay, weight, round(0.1 * _WORDS))
        spikes, membrane = _late(spikes, late), _late(membrane, late)
        differing = membrane != trace[:, 1]
        missed = int((spikes != trace[:, 2]).sum())
        words = f"Euler in integers, 2^14 a volt: {cut} ({decay}/4096), {kept} ({weight}), to 0 in the same step"
        elsewhere = int((differing & (trace[:, 2] == 0)).sum())
        fits.append((missed, elsewhere, int(differing.sum()), late, words, np.abs(membrane - trace[:, 1]).max() / _WORDS))
    missed, elsewhere, differing, late, words, far = min(fits)
    if differing and not elsewhere:
        value = ", ".join(f"{each:g}" for each in sorted(set(trace[trace[:, 2] != 0, 1].tolist())))
        words += f"; in the step of a spike the membrane reads {value}"
    return {
        "explained": missed == 0 and elsewhere == 0,
        "rule": words,
        "read_late": late,
        "scale": float(_WORDS),
        "steps_differing": missed,
        "v_max_abs": far,
        "v_steps_differing": differing,
        "ties": None,
    }


def _fixed(current: Array, decay: int, weight: int, threshold: int) -> tuple[Array, Array]:
    membrane, spikes, v = np.zeros(len(current)), np.zeros(len(current)), 0
    for step, x in enumerate(current):
        v = v * (4096 - decay) // 4096 + weight * int(x)
        if v > threshold:
            spikes[step], v = 1, 0
        membrane[step] = v
    return spikes, membrane


def _is_integer(trace: Array) -> bool:
    return bool(trace[:, 1].max() > 100 and (trace[:, 1] == np.rint(trace[:, 1])).all())


def _against(exact: Made, trace: Array) -> dict[str, Any]:
    found: dict[str, Any] = {"offset_to_exact": None, "v_rmse_to_exact": None}
    if exact.spikes is not None:
        ours, theirs = spike_steps(exact.spikes), spike_steps(trace[:, 2])
        if len(ours) == len(theirs):
            found["offset_to_exact"] = " ".join(f"{b - a:+d}" if b != a else "0" for a, b in zip(ours, theirs, strict=True))
    if exact.membrane is not None:
        found["v_rmse_to_exact"] = np.sqrt(((trace[:, 1] / _unit(trace[:, 1]) - exact.membrane) ** 2).mean())
    return found


def _unit(membrane: Array) -> float:
    """The known unit that puts the highest membrane nearest to the threshold."""
    highest = float(membrane.max())
    return min((*_UNITS, float(_WORDS)), key=lambda unit: abs(np.log(highest / unit / 0.1)))


def _fit(membrane: Array, published: Array) -> tuple[float, Array]:
    """The factor by which a published membrane is larger, by least squares, and what is left, in volts."""
    v = membrane.astype(np.float64)
    scale = float(v @ published / (v @ v))
    return scale, published / scale - v


def volts(membrane: Array) -> Array:
    """A published membrane in volts, as near as its platform's known unit allows."""
    found: Array = membrane / _unit(membrane)
    return found


def _late(values: Array, steps: int) -> Array:
    return np.concatenate([np.zeros(steps, dtype=values.dtype), values[: len(values) - steps]]) if steps else values


def _axes(rule: UpdateRule) -> dict[str, str]:
    plain = NIR_MEANING.as_dict()
    return {name: value for name, value in rule.as_dict().items() if value != plain[name]}


def _named(rule: UpdateRule, scaled: float) -> str:
    axes = ", ".join(f"{name}={value}" for name, value in _axes(rule).items())
    return (axes or "NIR's meaning in steps") + (f", input scaled by {scaled:.3g}" if scaled != 1 else "")


def _tie(candidate: _Candidate, late: tuple[int, int]) -> str:
    reading = " (spikes read a step late)" if late == (1, 0) else " (membrane read a step late)" if late == (0, 1) else ""
    return _named(candidate.rule, candidate.scaled) + reading


def _nothing() -> dict[str, Any]:
    return dict.fromkeys(RULE_COLUMNS[6:])


def _shown(spikes: Array) -> str:
    return " ".join(map(str, spike_steps(spikes)))
