"""A data set through a library in batches: as in one go, kept, and a failure in the library's words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nir_interop.backends.adapter import load_adapter
from nir_interop.datasets import load_digits_images
from nir_interop.networks import LIF, Layer, Pool2d, PoolKind
from nir_interop.vocabulary import Idiom, Reset
from nir_interop_studies import evaluation
from nir_interop_studies.csnn_mnist.network import DT, csnn
from nir_interop_studies.evaluation import Run, evaluate, held_images

STEPS, SAMPLES = 3, 50


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_batches_in_processes_give_what_one_run_gives_and_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = load_digits_images(False, 28).images[:SAMPLES, None]
    graph = tmp_path / "broken.nir"
    graph.write_bytes(b"no graph")
    network = csnn(0, scale=3.0)
    runs = {"native": Run("spikingjelly", DT, network=network), "broken": Run("spikingjelly", DT, graph=graph)}
    work, told = tmp_path / "work", []
    monkeypatch.setattr(evaluation, "CHUNK", 40)
    found = evaluate(runs, held_images(images, STEPS, work), work, batch=16, workers=1, advance=lambda: told.append(1))
    assert len(told) == evaluation.parts(len(runs), SAMPLES) == 4

    adapter = load_adapter("spikingjelly")
    model = adapter.build(network, DT, Idiom.PORTABLE)
    whole = adapter.run(model, np.repeat(images[None], STEPS, axis=0))
    assert found["native"].output is not None
    assert whole.output.sum() > 20
    np.testing.assert_array_equal(found["native"].output, whole.output)
    for name, fired in whole.spikes.items():
        assert found["native"].rates[name] == pytest.approx(fired.mean(), rel=1e-6)
    assert found["broken"].output is None
    assert (found["broken"].failed["status"], found["broken"].failed["stage"]) == ("read_error", "read")

    def fail(*_arguments: object) -> None:
        pytest.fail("what is kept was run again")

    monkeypatch.setattr(evaluation, "_pool", fail)
    again = evaluate(runs, held_images(images, STEPS, work), work, batch=16)
    np.testing.assert_array_equal(again["native"].output, found["native"].output)
    assert again["broken"].failed == found["broken"].failed


def test_networks_that_differ_in_anything_are_not_taken_for_one_another() -> None:
    network = csnn(0, scale=3.0)
    other = {
        "the same": network,
        "pooling": replace(network, layers=tuple(changed(layer, Pool2d, kind=PoolKind.SUM) for layer in network.layers)),
        "tau": replace(network, layers=tuple(changed(layer, LIF, tau=7e-4) for layer in network.layers)),
        "weights": csnn(1, scale=3.0),
        "dt": replace(network, dt=2 * DT),
        "reset": replace(network, reset=Reset.SUBTRACT),
    }
    keys = {name: Run("spikingjelly", DT, network=each).key() for name, each in other.items()}
    assert len({tuple(key) for key in keys.values()}) == len(other)
    assert Run("spikingjelly", DT, network=csnn(0, scale=3.0)).key() == keys["the same"]


def changed(layer: Layer, of: type[Layer], **values: object) -> Layer:
    return replace(layer, **values) if isinstance(layer, of) else layer  # type: ignore[arg-type]
