"""A data set through a library in batches: as in one go, kept, and a failure in the library's words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments import evaluation
from experiments.csnn_mnist.network import DT, csnn
from experiments.evaluation import Run, evaluate, held_images
from harness.adapter import load_adapter
from harness.datasets import load_digits_images
from harness.vocabulary import Idiom

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
