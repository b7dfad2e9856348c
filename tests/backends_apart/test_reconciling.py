"""Graphs rewritten for libraries that live apart, run by the library itself on inputs that no rewriting has seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nir_interop.agreement.side import Side
from nir_interop.errors import RunFailed
from nir_interop.fingerprint import Domain, Form, GivenField, Identified, Refusal, Wiring
from nir_interop.graphs import from_nir
from nir_interop.graphs.unwritten import newer_fields, without_fields
from nir_interop.networks import catalogue
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile
from nir_interop.rule import (
    NIR_MEANING,
    Comparison,
    Decay,
    FeedbackBias,
    Floor,
    Gain,
    ResetKind,
    SpikesPerStep,
    TimeStep,
)
from nir_interop.stimuli import stimulus_for
from nir_interop.workers.live import LiveBackend
from tests.strategies import DT, chain, lif, node

Running = Callable[[str], LiveBackend]
MANY = NIR_MEANING.but(
    reset=ResetKind.SUBTRACT_ALL, spikes=SpikesPerStep.MANY, comparison=Comparison.AT_OR_ABOVE, gain=Gain.ONE,
    feedback_bias=FeedbackBias.ABSENT,
)  # fmt: skip
IN_STEPS = MANY.but(decay=Decay.EXPONENTIAL, time_step=TimeStep.UNIT)
UNREAD = Refusal(GivenField("v_reset"), "read_error", "TypeError")
NONE = Identified(NIR_MEANING, refusals=(Refusal(Form.ANY, "import_error", "KeyError"),))
RULES = {"IF": MANY.but(floor=Floor.MINUS_THRESHOLD), "LIF": IN_STEPS}


def sinabs() -> Side:
    """What the probes find of sinabs, as far as these graphs ask for it (tests/backends_apart/test_sinabs.py)."""
    neurons = {kind: Identified(rule, 1000, refusals=(UNREAD,)) for kind, rule in RULES.items()}
    taken = {"Affine": Identified(NIR_MEANING, 1000)}
    lacking = dict.fromkeys(("Linear", "Scale", "Threshold", "I"), NONE)
    return Side("sinabs", DT, RULES, Domain({**neurons, **taken, **lacking, Wiring.RECURRENCE: NONE}))


def test_sinabs_has_an_older_nir_and_native_files_keep_failing(running: Running) -> None:
    live = running("sinabs")
    fields = live.start().described.fields
    assert newer_fields("LIF", fields["LIF"]) == ("v_reset",) and newer_fields("CubaLIF", fields["CubaLIF"])[0] == "v_reset"
    graph = chain(node("Affine", weight=np.eye(3), bias=np.zeros(3)), lif(3, tau=4.0, r=1.0), size=3)
    x = np.random.default_rng(0).normal(0.4, 0.5, (30, 2, 3)).astype(np.float32)
    with pytest.raises(RunFailed, match="v_reset") as failed:
        live(graph, x, DT)
    assert failed.value.status == "read_error"
    older, changed = without_fields(graph, {"LIF": ("v_reset",)})
    assert changed == ("n1",)
    v, made = np.zeros((2, 3), np.float32), []
    for step in x:  # by hand: exp(-1/tau), the input added as it is, several spikes, each of which subtracts the threshold
        v = np.float32(np.exp(np.float32(-1 / 4.0))) * v + step
        spikes = np.maximum(0, np.floor(v / 1.0))
        v = v - spikes
        made.append(spikes)
    assert np.sum(made) > 20
    np.testing.assert_array_equal(live(older, x, DT).output, np.array(made))


@pytest.mark.parametrize("seed", [0, 7])
def test_a_network_that_subtracts_is_right_in_sinabs_on_an_input_that_it_was_not_rewritten_on(
    running: Running, seed: int
) -> None:
    live, entry = running("sinabs"), catalogue("mlp_if_soft")
    network = entry.build(seed)
    graph = from_nir(network.to_nir())
    plan = reconcile(graph, Side("nir", DT), sinabs(), stimulus_for(entry, network, 0).input, PASSES, run=live)
    assert plan.right, (plan.wrong, plan.remaining)
    names = [each.name for each in plan.passes]
    assert (names[:2], names[-1]) == (["composition_as_soft_reset", "floored_as_leaky"], "older_fields")
    x = np.random.default_rng(11 + seed).binomial(1, 0.25, (80, 5, 20)).astype(np.float32)
    parameters, meant = network.parameters(), []
    v = [np.zeros((5, 30)), np.zeros((5, 10))]
    for step in x:  # by hand: integrate, fire above the threshold, subtract it
        given = step.astype(np.float64)
        for place, layer in enumerate(("fc1", "fc2")):
            v[place] = v[place] + given @ parameters[f"{layer}.weight"].T + parameters[f"{layer}.bias"]
            given = (v[place] > 1).astype(np.float64)
            v[place] = v[place] - given
        meant.append(given)
    recording = live(plan.graph, x, DT)
    assert np.sum(meant) > 50
    assert max(spikes.max() for spikes in recording.spikes.values()) <= 1  # several in a step would forbid it
    np.testing.assert_array_equal(recording.output, np.array(meant))
