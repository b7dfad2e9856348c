"""``nir_interop.transfer`` of a live module: what it answers, what is left alone, and what it says of bad calls."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import nir_interop as ni
from nir_interop.interface.transfers import Transfer
from tests.known import installed

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SIZES = (12, 20, 4)


def made(**options: Any) -> Any:
    """A network as snnTorch's tutorials write one, with neurons of these options and weights with which all layers fire."""
    installed("snntorch")
    import snntorch as snn

    torch.manual_seed(0)
    layers: list[Any] = []
    for inputs, outputs in pairwise(SIZES):
        values = {name: torch.full((outputs,), value) for name, value in (("beta", 0.9), ("threshold", 1.0))}
        layers += [torch.nn.Linear(inputs, outputs), snn.Leaky(**values, init_hidden=True, **options)]
    net = torch.nn.Sequential(*layers)
    for parameter in net.parameters():
        parameter.data *= 2 if parameter.ndim == 2 else 1
    return net


@pytest.fixture(scope="module")
def x() -> Any:
    return (torch.from_numpy(np.random.default_rng(0).random((40, 6, 12))) < 0.4).float()


def by_hand(net: Any, x: Any) -> Any:
    from snntorch import utils

    utils.reset(net)
    with torch.no_grad():
        return torch.stack([net(frame) for frame in x])


@pytest.fixture(scope="module")
def subtracting(x: Any) -> tuple[Any, Transfer]:
    net = made()
    return net, ni.transfer(net, x[0, :1], to="reference", input=x, labels=np.arange(6) % 4)


def test_a_soft_reset_that_the_exporter_lost_is_named_with_the_line_that_brings_it_about(subtracting: Any) -> None:
    _, found = subtracting
    assert found.right
    assert found["reference"].exact
    text = repr(found)
    assert "reset_lost" in text
    assert "train with reset_mechanism='zero'" in text
    natively = found.to_dict()["targets"][0]["natively"]
    assert natively["blame"] == "exporter"
    assert "reset_lost" in {each["cause"] for each in natively["causes"]}


def test_the_file_means_by_nir_what_the_module_computes(subtracting: Any, tmp_path: Path) -> None:
    net, found = subtracting
    fresh = (torch.from_numpy(np.random.default_rng(8).random((90, 16, 12))) < 0.6).float()
    meant = by_hand(net, fresh)
    assert 0.01 < meant.mean() < 0.7
    found["reference"].write(tmp_path / "net.nir")
    assert isinstance(nir.read(tmp_path / "net.nir"), nir.NIRGraph)
    simulated = ni.simulate(tmp_path / "net.nir", fresh)
    assert np.array_equal(simulated.output, meant.numpy())


def test_accuracies_are_those_of_the_module_by_hand(subtracting: Any, x: Any) -> None:
    net, found = subtracting
    right = by_hand(net, x).sum(0).argmax(1).numpy() == np.arange(6) % 4
    assert found["reference"].to_dict()["accuracy"] == [right.mean(), right.mean()]


def test_a_module_that_says_what_its_file_says_is_exported_by_its_own_library(x: Any) -> None:
    net = made(reset_mechanism="zero")
    found = ni.transfer(net, x[0, :1], to=["reference"], input=x)
    assert found.exported_by == "snntorch"
    assert not found.lost
    assert found["reference"].exact
    assert found["reference"].natively is not None
    assert found["reference"].natively.status.agrees


def test_results_show_themselves(subtracting: Any) -> None:
    _, found = subtracting
    assert list(found) == ["reference"]
    frame = found.to_frame()
    assert list(frame["target"]) == ["reference"]
    assert "<table>" in found._repr_html_()
    document = found.to_dict()
    assert document["library"] == "snntorch"
    assert document["dt"] == 1e-4


def test_a_module_of_two_libraries_is_told_whose_layers_are_whose(x: Any) -> None:
    installed("norse")
    from norse.torch import LIFCell

    net = torch.nn.Sequential(*made(), LIFCell())
    with pytest.raises(ni.BadInput, match=r"several libraries \(norse: 4; snntorch: 1, 3\)"):
        ni.transfer(net, x[0, :1], to="reference")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"module": 3}, "give the torch.nn.Module itself"),
        ({"module": "plain"}, "no neurons of"),
        ({"sample": None}, "give one step of input"),
        ({"sample": torch.zeros(12)}, r"sample\[None\]"),
        ({"input": torch.zeros(5, 2, 7)}, "give the same"),
        ({"labels": [1, 2]}, "labels: they are of the samples of an input"),
        ({"input": torch.zeros(5, 2, 12), "labels": np.zeros(3, int)}, "a whole number for each of 2 samples"),
        ({"to": []}, "name at least one library"),
        ({"to": "brian"}, "brian"),
        ({"dt": -1.0}, "dt -1"),
        ({"run": 3}, "give a function"),
    ],
    ids=lambda given: "" if isinstance(given, str) else " ".join(given),
)
def test_a_bad_call_says_in_one_line_what_to_do(arguments: dict[str, Any], said: str) -> None:
    if arguments.get("module") == "plain":
        arguments = {"module": torch.nn.Sequential(torch.nn.Linear(12, 4))}
    given = {"module": made(), "sample": torch.zeros(1, 12), "to": "reference", **arguments}
    with pytest.raises(ni.BadInput, match=said) as raised:
        ni.transfer(given.pop("module"), given.pop("sample"), **given)
    assert "\n" not in str(raised.value)


def test_max_pooling_is_refused_with_the_layer_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    installed("snntorch")
    import snntorch as snn

    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(18, 3),
        snn.Leaky(0.9, init_hidden=True),
    )
    with pytest.raises(ni.NotExpressible, match=r"MaxPool2d.*train with nn.AvgPool2d in its place") as raised:
        ni.transfer(net, torch.zeros(1, 1, 8, 8), to="reference")
    assert "\n" not in str(raised.value)
    assert not capsys.readouterr().out, "what an exporter prints is nothing that the caller asked for"


def test_a_step_that_the_module_does_not_tell_is_asked_for(x: Any) -> None:
    installed("norse")
    from norse.torch import LIFBoxCell, SequentialState

    net = SequentialState(torch.nn.Linear(12, 8), LIFBoxCell(dt=1e-3), torch.nn.Linear(8, 4), LIFBoxCell(dt=1e-4))
    with pytest.raises(ni.BadInput, match=r"several time steps.*say which one is meant \(dt, --dt\), in seconds") as raised:
        ni.transfer(net, x[0, :1], to="reference")
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_the_librarys_own_module_is_handed_back(x: Any) -> None:
    """Made by Norse's importer, in this process, and run as Norse's users run one."""
    installed("norse")
    net = made(reset_mechanism="zero")
    model = ni.transfer(net, x[0, :1], to="norse")["norse"].model
    fresh = (torch.from_numpy(np.random.default_rng(4).random((60, 16, 12))) < 0.5).float()
    meant, state = by_hand(net, fresh), None
    for frame, wanted in zip(fresh, meant, strict=True):
        output, state = model(frame, state)
        assert torch.equal(output, wanted)


def test_warnings_that_the_caller_takes_for_errors_are_no_failure_of_the_exporter(x: Any) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ni.transfer(made(reset_mechanism="zero"), x[0, :1], to="reference")
    assert found.exported_by == "snntorch"


@pytest.mark.slow
def test_the_users_own_reset_still_works_once_the_librarys_module_was_handed_back(x: Any) -> None:
    """snnTorch resets the neurons on a list of their class, which importing a file must not empty."""
    import snntorch as snn

    net = made(reset_mechanism="zero")
    meant = by_hand(net, x)
    assert meant.any()
    ni.transfer(net, x[0, :1], to="snntorch")["snntorch"].model  # noqa: B018
    neurons = [each for each in net.modules() if isinstance(each, snn.SpikingNeuron)]
    assert all(any(each is other for other in snn.SpikingNeuron.instances) for each in neurons)
    assert torch.equal(by_hand(net, x), meant)
