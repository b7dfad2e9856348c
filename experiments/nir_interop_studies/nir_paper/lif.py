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

from nir_interop.errors import RunFailed
from nir_interop.graphs import Array, Graph, read
from nir_interop.recording import Recording
from nir_interop.reference import Simulator
from nir_interop.rule import NIR_MEANING, Decay, Gain, ResetKind, SpikeFrom, Timing, UpdateRule
from nir_interop.workers.live import LiveBackend
from nir_interop_studies.nir_paper.crossing import as_file
from nir_interop_studies.nir_paper.paper import LIF_GRAPH, Paper, spike_steps

DT = 1e-4
SAME = 1e-6
"""A membrane within so many volts of the rule's is the rule's: the traces are in single precision."""

HARDWARE = {"lava_loihi_fixed": "Loihi", "spinnaker2": "SpiNNaker2"}
"""Traces that come from a chip."""

_UNITS = (1.0, 25.0, 10.0)
_UNIT_WITHIN = 1e-3
_PER_VOLT = 16_384
"""Units of a fixed-point membrane per volt: 2^14."""


@dataclass(frozen=True, eq=False)
class Made:
    """What a backend made of the paper's neuron: spikes and membrane, axes (T,); or why there is nothing."""

    spikes: Array | None = None
    membrane: Array | None = None
    failed: str = ""


@dataclass(frozen=True, eq=False)
class PaperNeuron:
    """The neuron and what it is fed.

    file : the graph with the fields that its file has alone, which is what importers are given
    current : axes (T, 1, 1)
    dataset : what the current is
    """

    graph: Graph
    file: Graph
    current: Array
    dataset: str


def published(paper: Paper) -> PaperNeuron:
    """The paper's neuron, and the input of all its traces."""
    current = np.loadtxt(paper.graph("lif_norse.csv"), delimiter=",")[:, 0].reshape(-1, 1, 1).astype(np.float32)
    path = paper.graph(LIF_GRAPH)
    return PaperNeuron(read(path), as_file(path), current, "the paper's spike train")


def run_backend(given: PaperNeuron, live: LiveBackend) -> Made:
    """What a backend makes of the neuron, as it is, at the paper's step."""
    try:
        recording = live(given.file, given.current, DT)
    except RunFailed as error:
        return Made(failed=str(error))
    return made_of(recording)


def made_of(recording: Recording) -> Made:
    """What a recording of the neuron holds."""
    membranes = [each.ravel() for each in recording.membranes.values()]
    return Made(recording.output.ravel(), membranes[0] if membranes else None)


BACKEND_COLUMNS = (
    "dataset", "trace", "hardware", "backend", "version", "status", "spikes_published", "spikes_backend", "steps_differing",
    "scale", "v_max_abs", "v_rmse",
)  # fmt: skip


def backend_rows(
    given: PaperNeuron, traces: Mapping[str, Array], made: Mapping[str, Made], versions: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """One row a trace and a backend; membranes in volts, after the trace's unit has been fitted."""
    for (name, trace), (backend, run) in itertools.product(traces.items(), made.items()):
        row: dict[str, Any] = dict.fromkeys(BACKEND_COLUMNS)
        row |= {"dataset": given.dataset, "trace": name, "hardware": HARDWARE.get(name)}
        row |= {"backend": backend, "version": versions[backend]}
        row |= {"status": run.failed or "ran", "spikes_published": shown(trace[:, 2])}
        if run.spikes is not None:
            row |= {"spikes_backend": shown(run.spikes), "steps_differing": int((run.spikes != trace[:, 2]).sum())}
        if run.membrane is not None:
            scale, gap = fit(volts(run.membrane), trace[:, 1])
            row |= {"scale": scale, "v_max_abs": np.abs(gap).max(), "v_rmse": np.sqrt((gap**2).mean())}
        yield row


RULE_COLUMNS = (
    "dataset", "trace", "hardware", "spikes", "offset_to_exact", "v_rmse_to_exact", "explained", "rule", "read_late", "scale",
    "steps_differing", "v_max_abs", "v_steps_differing", "ties",
)  # fmt: skip


def rule_rows(given: PaperNeuron, traces: Mapping[str, Array], exact: Made) -> Iterator[dict[str, Any]]:
    """One row a trace: the rule that gives it, and how far it is from the continuous solution."""
    candidates = list(_candidates(given.graph, given.current))
    for name, trace in traces.items():
        row: dict[str, Any] = dict.fromkeys(RULE_COLUMNS)
        row |= {"dataset": given.dataset, "trace": name, "hardware": HARDWARE.get(name), "spikes": shown(trace[:, 2])}
        row |= _against(exact, trace) | (
            _integers(given.current, trace) if _is_integer(trace) else _explained(candidates, trace)
        )
        if name == "exact" and exact.spikes is not None and exact.membrane is not None:
            far = np.abs(fit(exact.membrane, trace[:, 1])[1]).max()
            if (exact.spikes == trace[:, 2]).all() and far < SAME:
                row |= {"explained": True, "rule": "the equation itself, solved in continuous time", "scale": 1.0, "ties": None}
                row |= {"steps_differing": 0, "v_max_abs": far, "read_late": 0, "v_steps_differing": 0}
        yield row


@dataclass(frozen=True, eq=False)
class _Candidate:
    """What a rule makes of the neuron, its input scaled by a factor."""

    rule: UpdateRule
    scaled: float
    spikes: Array
    membrane: Array

    @property
    def odd(self) -> dict[str, str]:
        """The axes on which it is not NIR's meaning."""
        plain = NIR_MEANING.as_dict()
        return {name: value for name, value in self.rule.as_dict().items() if value != plain[name]}

    def __str__(self) -> str:
        axes = ", ".join(f"{name}={value}" for name, value in self.odd.items()) or "NIR's meaning in steps"
        return axes + (f", input scaled by {self.scaled:.3g}" if self.scaled != 1 else "")


def _candidates(graph: Graph, current: Array) -> Iterator[_Candidate]:
    """All rules of some axes on which published platforms are known to differ."""
    tau = next(float(node["tau"].flat[0]) for _, node in graph.primitives() if node.kind == "LIF")
    axes = (Decay.EULER, Decay.EXPONENTIAL), (Gain.STEP, Gain.COMPLEMENT, Gain.JUMP), (ResetKind.TO_VALUE, ResetKind.SUBTRACT)
    timings = (Timing.SAME_STEP, Timing.NEXT_STEP)
    for decay, gain, reset, timing, spike_from in itertools.product(*axes, timings, SpikeFrom):
        rule = NIR_MEANING.but(decay=decay, gain=gain, reset=reset, timing=timing, spike_from=spike_from)
        scaled = DT / tau if gain is Gain.JUMP else 1.0
        recording, _ = Simulator(graph, DT, rule).run(current * scaled)
        (membrane,) = recording.membranes.values()
        yield _Candidate(rule, scaled, recording.output.ravel(), membrane.ravel())


_READING = {(0, 0): "", (0, 1): " (membrane read a step late)", (1, 0): " (spikes read a step late)", (1, 1): ""}
"""Steps by which spikes and membrane are late → as a tie says it."""


def _explained(candidates: Sequence[_Candidate], trace: Array) -> dict[str, Any]:
    """The rule whose spikes and membrane are the trace's, read in the same step or a step late."""
    fits = []
    for each, late in itertools.product(candidates, _READING):
        scale, gap = fit(_late(each.membrane, late[1]), trace[:, 1])
        missed, far = int((_late(each.spikes, late[0]) != trace[:, 2]).sum()), float(np.abs(gap).max())
        unknown = min(abs(scale / unit - 1) for unit in _UNITS) > _UNIT_WITHIN
        fits.append(((missed, unknown, round(far, 9), len(each.odd) + sum(late)), each, late, scale, far))
    fits.sort(key=lambda fit: fit[0])
    key, best, late, scale, far = fits[0]
    tied = [f"{fit[1]}{_READING[fit[2]]}" for fit in fits[1:] if fit[0][:3] == key[:3] and far < SAME]
    return {
        "explained": key[0] == 0 and not key[1] and far < SAME,
        "rule": str(best),
        "read_late": "/".join(map(str, late)) if late[0] != late[1] else late[0],
        "scale": scale,
        "steps_differing": key[0],
        "v_max_abs": far,
        "v_steps_differing": 0 if far < SAME else None,
        "ties": "; ".join(dict.fromkeys(tied)) or None,
    }


def _integers(current: Array, trace: Array) -> dict[str, Any]:
    r"""The same for a trace of whole numbers: :math:`v \leftarrow \mathrm{trunc}(v\,(4096 - d)/4096) + w\,x`, to 0 above θ.

    The decay :math:`d = 4096\,dt/\tau` = 163.84 is rounded or cut, the weight :math:`w = 2^{14} dt/\tau` = 655.36 is rounded,
    or kept as a mantissa of 8 bits with an exponent of 6, a multiple of 64.
    """
    share = 0.04
    decays = {"the decay rounded": round(4096 * share), "the decay cut": int(4096 * share)}
    weights = {
        "the weight rounded": round(_PER_VOLT * share), "the weight in units of 2^6": round(_PER_VOLT * share / 64) * 64,
    }  # fmt: skip
    fits = []
    for (cut, decay), (kept, weight), late in itertools.product(decays.items(), weights.items(), (0, 1)):
        made = _fixed(current.ravel(), decay, weight, round(0.1 * _PER_VOLT))
        spikes, membrane = (_late(each, late) for each in made)
        differing = membrane != trace[:, 1]
        missed, elsewhere = int((spikes != trace[:, 2]).sum()), int((differing & (trace[:, 2] == 0)).sum())
        words = f"Euler in integers, 2^14 a volt: {cut} ({decay}/4096), {kept} ({weight}), to 0 in the same step"
        fits.append((missed, elsewhere, int(differing.sum()), late, words, np.abs(membrane - trace[:, 1]).max() / _PER_VOLT))
    missed, elsewhere, different, late, words, far = min(fits)
    if different and not elsewhere:
        value = ", ".join(f"{each:g}" for each in sorted(set(trace[trace[:, 2] != 0, 1].tolist())))
        words += f"; in the step of a spike the membrane reads {value}"
    return {
        "explained": missed == 0 and elsewhere == 0,
        "rule": words,
        "read_late": late,
        "scale": float(_PER_VOLT),
        "steps_differing": missed,
        "v_max_abs": far,
        "v_steps_differing": different,
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
    """How many steps each spike is from the continuous solution's, and how far the membrane."""
    found: dict[str, Any] = {}
    if exact.spikes is not None:
        ours, theirs = spike_steps(exact.spikes), spike_steps(trace[:, 2])
        if len(ours) == len(theirs):
            found["offset_to_exact"] = " ".join(f"{b - a:+d}" if b != a else "0" for a, b in zip(ours, theirs, strict=True))
    if exact.membrane is not None:
        found["v_rmse_to_exact"] = np.sqrt(((volts(trace[:, 1]) - exact.membrane) ** 2).mean())
    return found


def volts(membrane: Array) -> Array:
    """A membrane in volts: by the known unit that puts its highest value nearest to the threshold."""
    highest = float(membrane.max())
    unit = min((*_UNITS, float(_PER_VOLT)), key=lambda unit: abs(np.log(highest / unit / 0.1)))
    found: Array = membrane / unit
    return found


def fit(membrane: Array, published: Array) -> tuple[float, Array]:
    """The factor by which a published membrane is larger, by least squares, and what is left, in volts."""
    v = membrane.astype(np.float64)
    scale = float(v @ published / (v @ v))
    return scale, published / scale - v


def _late(values: Array, steps: int) -> Array:
    return np.concatenate([np.zeros(steps, dtype=values.dtype), values[: len(values) - steps]]) if steps else values


def shown(spikes: Array) -> str:
    """The steps of spikes, axis (T,), as tables have them."""
    return " ".join(map(str, spike_steps(spikes)))
