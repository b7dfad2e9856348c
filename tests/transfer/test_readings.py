"""How a file is to be read: the rule, step or value that gives what its source recorded, and nothing that does not."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nir_interop.agreement.side import Side
from nir_interop.compare import assert_same_spikes
from nir_interop.fingerprint import Domain, Fingerprint, Identified, Origin
from nir_interop.graphs import Array, Graph, Node, read
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, Comparison, Gain, ResetKind, Start, Timing, UpdateRule
from nir_interop.stimuli import bernoulli, load_output, load_stimulus
from nir_interop.transfer.reconciling import side_from_rule
from nir_interop.transfer.source_reading import SourceReading, matched
from nir_interop.vocabulary import Cause
from tests.strategies import node, port

DT = 1e-3
SIZES = (8, 6, 4)
CASES = Path(__file__).parents[2].parent / "shared" / "cases"

SOFT = NIR_MEANING.but(reset=ResetKind.SUBTRACT)
LATE = SOFT.but(timing=Timing.NEXT_STEP)
CARRIED = SOFT.but(timing=Timing.CARRIED)
AT = NIR_MEANING.but(comparison=Comparison.AT_OR_ABOVE)
RESTS = NIR_MEANING.but(start=Start.LEAK)
NEURONS = {
    "Soft(late=True)": LATE,
    "Soft(late=False)": SOFT,
    "Soft(carried)": CARRIED,
    "Hard(at=True)": AT,
    "Soft(at=True)": SOFT.but(comparison=Comparison.AT_OR_ABOVE),
    "Hard(rests)": RESTS,
    "Hard(starts=reset)": NIR_MEANING.but(start=Start.RESET),
}
"""Of a library that there is none of, with rules that those there are have."""


def natives(graph: Graph) -> Iterable[Fingerprint]:
    kinds = sorted({each.kind for _, each in graph.primitives() if "r" in each.params})
    for options, rule in NEURONS.items():
        yield Fingerprint("lib", Origin.NATIVE, options, Domain({kind: Identified(rule, 1) for kind in kinds}))


def none(graph: Graph) -> Iterable[Fingerprint]:
    return ()


def unasked(graph: Graph) -> Iterable[Fingerprint]:
    raise AssertionError("what the source's own reading gives needs no library")


def network(kind: str = "LIF", last: str = "", **changes: float) -> Graph:
    """Two layers of neurons of a kind, at a few spikes a step under 0.3 spikes a step and input."""
    rng = np.random.default_rng(3)
    values = {
        "IF": {"r": 1 / DT, "v_threshold": 1.0, "v_reset": 0.0},
        "LIF": {"tau": 5 * DT, "r": 5.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0},
        "CubaLIF": {
            "tau_syn": 2 * DT, "tau_mem": 5 * DT, "r": 5.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, "w_in": 1.0,
        },
    }[kind]  # fmt: skip
    nodes: dict[str, Node | Graph] = {"input": port("Input", SIZES[0]), "output": port("Output", SIZES[2])}
    for number, size in enumerate(SIZES[1:]):
        weight = rng.normal(0.25, 0.5, (size, SIZES[number]))
        held = {name: np.full(size, value) for name, value in {**values, **changes}.items() if name in values}
        nodes |= {f"fc{number}": node("Linear", weight=weight), f"n{number}": node(kind, **held)}
    names = ["input", "fc0", "n0", "fc1", "n1", "output"]
    return Graph(nodes, tuple(itertools.pairwise(names)))


def with_params(graph: Graph, **changes: Any) -> Graph:
    """The graph with other numbers in its neurons: a factor of what is there, or a new value for each by name."""
    nodes = dict(graph.nodes)
    for name, each in graph.primitives():
        if "r" in each.params:
            new = {key: np.full_like(each[key], value.get(name) if isinstance(value, Mapping) else value(each[key]))
                   for key, value in changes.items()}  # fmt: skip
            nodes[name] = Node(each.kind, {**each.params, **new})
    return Graph(nodes, graph.edges)


STIMULUS = bernoulli((SIZES[0],), 45, 6, 0.4, 5)


def recorded(graph: Graph, rule: UpdateRule = NIR_MEANING, dt: float = DT) -> Recording:
    made = simulate(graph, STIMULUS, dt, rule)
    assert made.output.sum() > 40, "a recording that shows something"
    return Recording({"output": np.float32(made.output)})


def fitted(graph: Graph, recording: Recording, dt: float = DT, known: Any = natives) -> SourceReading:
    return matched(graph, Side("nir", dt), STIMULUS, recording, known)


RULES = {
    "late": ("LIF", LATE, {}, "--from-rule reset=subtract,timing=late", "Soft(late=True)"),
    "late, with a synapse": ("CubaLIF", LATE, {}, "--from-rule reset=subtract,timing=late", "Soft(late=True)"),
    "in the same step": ("LIF", SOFT, {}, "--from-rule reset=subtract", "Soft(late=False)"),
    "of what adds up": ("IF", SOFT, {}, "--from-rule reset=subtract", "Soft(late=False)"),
    "carried": ("LIF", CARRIED, {}, "--from-rule reset=subtract,timing=carried", "Soft(carried)"),
    "start": ("LIF", RESTS, {"v_leak": 0.5}, "--from-rule start=leak", "Hard(rests)"),
    "the input as it is": ("CubaLIF", NIR_MEANING.but(synapse_gain=Gain.ONE), {}, "--from-rule synapse_gain=one", ""),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_found_named_and_given_as_options_that_say_it(name: str) -> None:
    kind, rule, changes, options, whose = RULES[name]
    graph = network(kind, **changes)
    recording = recorded(graph, rule)
    found = fitted(graph, recording)
    assert (found.fits, found.missed, found.reading.options) == (True, 0, options)
    assert not whose or f"lib's {whose}" in found.reading.whose
    side = side_from_rule(options.removeprefix("--from-rule "), DT)
    assert_same_spikes(simulate(graph, STIMULUS, DT, side.rules).output, recording.output)


def test_a_late_soft_reset_in_plain_numpy_is_found() -> None:
    """The recording comes from a loop that shares nothing with the reference."""
    graph = network()
    weights = [np.asarray(graph.nodes[name]["weight"]) for name in ("fc0", "fc1")]  # type: ignore[index]
    v, fired = ([np.zeros((6, size)) for size in SIZES[1:]] for _ in range(2))
    output = []
    for frame in STIMULUS:
        x = frame.astype(np.float64)
        for layer, weight in enumerate(weights):
            v[layer] = 0.8 * v[layer] + x @ weight.T - fired[layer]
            fired[layer] = x = (v[layer] > 1.0).astype(np.float64)
        output.append(x)
    found = fitted(graph, Recording({"output": np.float32(output)}))
    assert found.reading.options == "--from-rule reset=subtract,timing=late"


def test_a_recording_that_is_what_nir_means_asks_nobody() -> None:
    graph = network()
    found = fitted(graph, recorded(graph), known=unasked)
    assert (found.plain, found.missed, found.reading.options, found.side(Side("nir", DT))) == (True, 0, "", Side("nir", DT))


@pytest.mark.parametrize(
    ("factor", "named", "step"),
    [(DT, DT, DT * DT), (1 / DT, DT, 1.0), (1e-3, 1e-4, 1e-6), (1.0, 1e-4, DT), (1.0, 2e-4, DT)],
)
def test_time_constants_in_another_unit_are_a_step_that_is_named(factor: float, named: float, step: float) -> None:
    """tau·dt, tau/dt, a step of 1e-3 s where another was named: NIR's meaning at another step, whoever wrote it."""
    meant = network()
    written = with_params(meant, tau=lambda value: value * factor)
    found = fitted(written, recorded(meant), named, known=unasked)
    assert found.fits and found.reading.axes == {}
    assert found.reading.dt == pytest.approx(step, rel=1e-9)
    assert found.reading.options == f"--dt-from {step:g}"


def test_a_round_step_that_nobody_named_is_found() -> None:
    graph = network()
    found = fitted(graph, recorded(graph, dt=2e-3), 1e-4, known=none)
    assert (found.fits, found.reading.options) == (True, "--dt-from 0.002")


@pytest.mark.parametrize("values", [{"n0": -0.4, "n1": -0.4}, {"n0": -0.35, "n1": 0.2}])
def test_a_value_to_reset_to_that_the_file_lost_is_found_from_the_recording(values: dict[str, float]) -> None:
    meant, written = with_params(network(), v_reset=values), network()
    found = fitted(written, recorded(meant), known=none)
    assert found.fits and found.missed == 0
    assert "found from the recording" in found.says
    read_as = found.reading.graph
    for name, value in values.items():
        assert read_as.nodes[name]["v_reset"] == pytest.approx(value, abs=0.01)  # type: ignore[index]
    assert_same_spikes(simulate(read_as, STIMULUS, DT).output, recorded(meant).output)


def test_neurons_that_are_never_reset_are_membranes_and_thresholds() -> None:
    graph = network()
    never = with_params(graph, v_threshold=lambda value: value)
    v, output = [np.zeros((6, size)) for size in SIZES[1:]], []
    for frame in STIMULUS:
        x = frame.astype(np.float64)
        for layer, name in enumerate(("fc0", "fc1")):
            v[layer] = 0.8 * v[layer] + x @ np.asarray(never.nodes[name]["weight"]).T  # type: ignore[index]
            x = (v[layer] > 1.0).astype(np.float64)
        output.append(x)
    found = fitted(graph, Recording({"output": np.float32(output)}))
    assert found.fits and found.reading.changes == ("with n0, n1 never reset",)
    assert_same_spikes(simulate(found.reading.graph, STIMULUS, DT).output, np.array(output))


def test_a_readout_whose_membrane_was_recorded_is_read_as_one() -> None:
    graph = network()
    bare = dict(graph.nodes)
    bare["n1"] = Node("LI", {name: graph.nodes["n1"][name] for name in ("tau", "r", "v_leak")})  # type: ignore[index]
    recording = Recording({"output": np.float32(simulate(Graph(bare, graph.edges), STIMULUS, DT, {"LIF": LATE}).output)})
    found = fitted(graph, recording)
    assert found.fits and found.reading.options == "--from-rule reset=subtract,timing=late"
    assert found.reading.graph.nodes["n1"].kind == "LI"


def test_what_a_recording_does_not_tell_apart_is_named() -> None:
    graph = network()
    found = fitted(graph, recorded(graph, SOFT))
    assert [each.options for each in found.also] == ["--from-rule comparison=at_or_above,reset=subtract"]
    assert "lib's Soft(at=True)" in "\n".join(found.lines())


def test_ties_that_fire_are_another_comparison_and_no_rounding() -> None:
    """Whole numbers meet their thresholds to the last bit; each such decision is the other one."""
    graph = network("IF", v_threshold=2.0)
    nodes = dict(graph.nodes)
    rng = np.random.default_rng(1)
    for name in ("fc0", "fc1"):
        nodes[name] = node("Linear", weight=rng.integers(-1, 3, graph.nodes[name]["weight"].shape) / 2)  # type: ignore[index]
    whole = Graph(nodes, graph.edges)
    found = fitted(whole, recorded(whole, AT))
    assert (found.missed, found.reading.options) == (0, "--from-rule comparison=at_or_above")


def test_where_nothing_gives_the_recording_the_closest_is_named_and_nothing_is_called_impossible() -> None:
    graph = network()
    noise = np.float32(np.random.default_rng(0).random((45, 6, SIZES[2])) < 0.3)
    found = fitted(graph, Recording({"output": noise}), known=none)
    assert not found.fits and 0 < found.missed <= noise.size
    (left,) = found.unexplained
    assert left.cause is Cause.UNEXPLAINED and f"misses {found.missed} of {noise.size} outputs" in left.text
    assert found.side(Side("nir", DT)) == Side("nir", DT)


def test_a_recording_in_which_nothing_fires_says_that_it_tells_little() -> None:
    graph = network()
    found = fitted(graph, Recording({"output": np.zeros((45, 6, SIZES[2]), np.float32)}), known=none)
    assert found.vacuous and "too little fires" in found.says


def test_options_may_name_a_primitive() -> None:
    side = side_from_rule("LIF.timing=late,reset=subtract", DT)
    assert (side.rule("LIF"), side.rule("CubaLIF")) == (LATE, SOFT)


def case(graph: str, recording: str) -> tuple[Graph, Array, Recording]:
    if not CASES.is_dir():
        pytest.skip("the cases are not beside this checkout")
    path = CASES / recording
    stimulus = load_stimulus(path, np.load(path)["input"].shape[2:]).input
    return read(CASES / graph), stimulus, Recording({"output": load_output(path, stimulus)})


@pytest.mark.parametrize(
    ("graph", "recording", "dt", "options"),
    [
        ("truth/snn_leaky_default.nir", "truth/snn_leaky_default.npz", 1e-4, "--from-rule reset=subtract,timing=late"),
        ("truth/norse_lifcell.nir", "truth/norse_lifcell.npz", 1e-3, "--from-rule synapse_gain=one --dt-from 1e-06"),
        ("reports/norse-dt-squared.nir", "reports/norse-dt-squared-recording.npz", 1e-3, "--dt-from 1e-06"),
    ],
)
def test_files_that_libraries_wrote_are_read_as_their_sources_ran(graph: str, recording: str, dt: float, options: str) -> None:
    written, stimulus, made = case(graph, recording)
    found = matched(written, Side("nir", dt), stimulus, made, natives)
    assert (found.fits, found.missed, found.reading.options) == (True, 0, options)
