"""A data set through a library in batches: as in one go, kept, and a failure in the library's words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nir_interop.backends.adapter import load_adapter
from nir_interop.compare import assert_same_spikes
from nir_interop.datasets import load_digits_images
from nir_interop.errors import RunFailed
from nir_interop.networks import LIF, Layer, Pool2d, PoolKind
from nir_interop.recording import Recording
from nir_interop.store.store import Store
from nir_interop.transfer import evaluation
from nir_interop.transfer.evaluation import Evaluation, evaluate, evaluate_with, held_images
from nir_interop.vocabulary import Idiom, Reset
from nir_interop_studies.csnn_mnist.network import DT, csnn

STEPS, SAMPLES = 3, 50


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_batches_in_processes_give_what_one_run_gives_and_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = load_digits_images(False, 28).images[:SAMPLES, None]
    graph = tmp_path / "broken.nir"
    graph.write_bytes(b"no graph")
    network = csnn(0, scale=3.0)
    runs = {"native": Evaluation("spikingjelly", DT, network=network), "broken": Evaluation("spikingjelly", DT, graph=graph)}
    work, store, told = tmp_path / "work", Store(tmp_path / "store"), []
    monkeypatch.setattr(evaluation, "CHUNK", 40)
    found = evaluate(runs, held_images(images, STEPS, work), store, batch=16, workers=1, advance=lambda: told.append(1))
    assert len(told) == evaluation.parts(len(runs), SAMPLES) == 4

    adapter = load_adapter("spikingjelly")
    model = adapter.build(network, DT, Idiom.PORTABLE)
    whole = adapter.run(model, np.repeat(images[None], STEPS, axis=0))
    assert found["native"].output is not None
    assert whole.output.sum() > 20
    assert_same_spikes(found["native"].output, whole.output)
    for name, fired in whole.spikes.items():
        assert found["native"].rates[name] == pytest.approx(fired.mean(), rel=1e-6)
    assert found["broken"].output is None
    assert (found["broken"].failed["status"], found["broken"].failed["stage"]) == ("read_error", "read")

    def fail(*_arguments: object) -> None:
        pytest.fail("what is kept was run again")

    monkeypatch.setattr(evaluation, "_pool", fail)
    again = evaluate(runs, held_images(images, STEPS, work), store, batch=16)
    assert_same_spikes(again["native"].output, found["native"].output)
    assert again["broken"].failed == found["broken"].failed


def test_what_runs_elsewhere_is_kept_too_with_the_spikes_of_a_node_and_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = held_images(load_digits_images(False, 28).images[:SAMPLES, None], STEPS, tmp_path)
    monkeypatch.setattr(evaluation, "CHUNK", 40)
    batches: list[int] = []

    def run(stimulus: np.ndarray) -> Recording:
        batches.append(stimulus.shape[1])
        spikes = (stimulus.reshape(STEPS, stimulus.shape[1], -1) > 0.5).astype(np.uint8)
        return Recording({"output": spikes[:, :, 300:310]}, {"lif1": spikes[:, :, :50], "lif2.inner": spikes})

    store = Store(tmp_path / "store")
    for _ in range(2):  # The second time it is only read.
        found = evaluate_with(run, {"what": "threshold"}, images, store, batch=16, node="lif2")
        assert batches == [16, 16, 8, 10]
        whole = run(images.batch(0, SAMPLES))
        batches.pop()
        assert found.output is not None and found.node is not None
        assert_same_spikes(found.output, whole.output)
        assert_same_spikes(found.node, whole.spikes["lif2.inner"])
        assert found.rates["lif1"] == pytest.approx(whole.spikes["lif1"].mean(), rel=1e-6)

    def fail(_stimulus: np.ndarray) -> Recording:
        batches.append(0)
        raise RunFailed("refused", "ValueError", "no")

    for _ in range(2):
        failed = evaluate_with(fail, {"what": "failure"}, images, store, batch=16)
        assert failed.output is None
        assert failed.failed == {"status": "refused", "error_type": "ValueError", "error_message": "no"}
        assert batches[4:] == [0]


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
    keys = {name: Evaluation("spikingjelly", DT, network=each).key() for name, each in other.items()}
    assert len({tuple(key.items()) for key in keys.values()}) == len(other)
    assert Evaluation("spikingjelly", DT, network=csnn(0, scale=3.0)).key() == keys["the same"]


def changed(layer: Layer, of: type[Layer], **values: object) -> Layer:
    return replace(layer, **values) if isinstance(layer, of) else layer  # type: ignore[arg-type]
