"""A user's module is run as its library's users run it, and is as it was afterwards."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nir_interop.backends.adapter import load_adapter
from nir_interop.errors import CannotRecord
from tests.adapters.own_steps import computed
from tests.transfer.own_networks import NAMES, network, seen

with warnings.catch_warnings():
    # Of torch's, while libraries are imported.
    warnings.simplefilter("ignore")
    from tests.adapters.own_ways import CASES as WAYS
    from tests.adapters.own_ways import BatchFirst, Docs, FixedLength, Static, Unreadable

DT = {"snntorch": 1e-4, "norse": 1e-3, "spikingjelly": 1e-4}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

CASES = [(library, name) for library, names in NAMES.items() for name in names]


@pytest.mark.parametrize(("library", "name"), CASES)
def test_a_recording_is_what_the_library_gives_by_hand(library: str, name: str) -> None:
    own = network(library, name)
    module = own.trained()
    x, _ = seen(own, 5)
    expected = own.output(x)
    recording = load_adapter(library).record(module, x.numpy())
    np.testing.assert_array_equal(recording.outputs["output"], expected)
    assert expected.any()


@pytest.mark.parametrize(
    ("library", "name", "make", "by_hand", "steps", "same"), [pytest.param(*case, id=f"{case[0]}: {case[1]}") for case in WAYS]
)
def test_forward_in_every_form_is_run_and_read_as_its_users_run_it(
    library: str, name: str, make: Any, by_hand: Any, steps: int, same: bool
) -> None:
    torch.manual_seed(4)
    module, adapter = make(), load_adapter(library)
    shape = (3, 4) if library == "spikingjelly" else (12,)
    x = (torch.rand(steps, 4, *shape) < 0.4).float()
    x = x[:1].expand_as(x).clone() if same else x
    with torch.no_grad():
        expected = by_hand(module, x).numpy()
    assert expected.any() and not expected.all()
    recording = adapter.record(module, x.numpy())
    np.testing.assert_array_equal(recording.outputs["output"], expected)
    described = adapter.describe(module, x[0].numpy(), DT[library])
    values = computed(described, x.numpy())
    np.testing.assert_array_equal(values["output"], expected)
    assert set(recording.spikes) == {each for each, node in described.nodes.items() if node.reset}
    for each, spikes in recording.spikes.items():
        np.testing.assert_array_equal(values[each], spikes, err_msg=each)
    assert described.constant == same
    assert described.steps == (None if steps == 30 else 6 if library == "spikingjelly" else 25)


def test_any_other_form_is_run_by_a_function_of_the_users() -> None:
    torch.manual_seed(4)
    module, adapter = BatchFirst(), load_adapter("snntorch")
    x = (torch.rand(30, 4, 12) < 0.4).float()

    def run(net: Any, data: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = net(data.transpose(0, 1)).transpose(0, 1)
        return output

    recording = adapter.record(module, x.numpy(), run)
    expected = run(module, x).detach().numpy()
    assert expected.any()
    np.testing.assert_array_equal(recording.outputs["output"], expected)
    described = adapter.describe(module, x[0].numpy(), 1e-4, run)
    np.testing.assert_array_equal(computed(described, x.numpy())["output"], expected)


@pytest.mark.parametrize(
    ("module", "x", "says"),
    [
        (
            Static(),
            np.random.default_rng(0).random((25, 2, 12)),
            "repeats it for 25 steps; give an input that is the same at each",
        ),
        (Static(), np.ones((26, 2, 12)), "runs 25 steps by itself; give an input of at most 25"),
        (FixedLength(), np.ones((26, 2, 12)), "runs 25 steps by itself; give an input of at most 25"),
        (
            Docs(),
            np.ones((26, 2, 5)),
            "takes neither one step .*mat1 and mat2.* nor a whole sequence .*; give run, a function of",
        ),
        (nn.Linear(3, 2), np.ones((5, 2, 3)), "Linear has no neurons of this library; give run"),
        (
            Unreadable(),
            np.ones((5, 2, 12)),
            r"no axis of 5 steps in front, nor the sum or the average of its last layer; give run",
        ),
    ],
)
def test_what_cannot_be_recorded_is_said_in_one_line(module: nn.Module, x: Any, says: str) -> None:
    with pytest.raises(CannotRecord, match=says) as caught:
        load_adapter("snntorch").record(module, x)
    assert "\n" not in str(caught.value)
