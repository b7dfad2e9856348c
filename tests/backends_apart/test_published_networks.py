"""The NIR paper's two networks through each library, as their files are and rewritten: one accuracy of all that reconcile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nir_interop.backends.environments import backends
from nir_interop.graphs import read
from nir_interop.rule import NIR_MEANING
from nir_interop.store.store import Store
from nir_interop.transfer.evaluation import Evaluator
from nir_interop.vocabulary import Cause, Mode
from nir_interop.workers.live import LiveBackend
from nir_interop_studies.nir_paper import braille, cnn, crossing, inputs
from nir_interop_studies.nir_paper.inputs import Held
from nir_interop_studies.nir_paper.paper import CNN_GRAPH, Paper, PaperOptions
from tests.known import STORE, one_at_a_time

APART = [each.name for each in backends() if each.apart and each.name == each.library]
SAMPLES, STEPS = 6, 40


@pytest.fixture(scope="module")
def tasks(paper: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, crossing.Task]:
    """Both on few recordings, which are also the sample on which a difference is explained."""
    folder = tmp_path_factory.mktemp("options")
    options = PaperOptions(data, folder, folder, STORE, quick=True)
    letters = inputs.letters(options)
    assert letters is not None
    few = Held(letters.samples[:, ::4][:, :SAMPLES], letters.labels[::4][:SAMPLES], letters.name)
    letter_task = braille.task_of(Paper(paper), few)
    digits = inputs.published_digits(options, inputs.test_recordings(options))
    some = Held(digits.samples[:STEPS, :SAMPLES], digits.labels[:SAMPLES], digits.name)
    digit_task = crossing.Task("cnn", Paper(paper).graph(CNN_GRAPH), cnn.MEANT, cnn.FRAME, (cnn.MEANT,), some, some.samples)
    return {"cnn": digit_task, "braille": replace(letter_task, natives=letter_task.natives[:1])}


@pytest.mark.whole
@pytest.mark.parametrize("network", ["cnn", "braille"])
@pytest.mark.parametrize("name", APART)
def test_what_reconciles_has_the_accuracy_that_the_graph_means(
    name: str,
    network: str,
    tasks: dict[str, crossing.Task],
    running: Callable[[str], LiveBackend],
    tmp_path: Path,
) -> None:
    live, task, runner = running(name), tasks[network], Evaluator(Store(STORE), crossing.BATCH)
    meant = runner.rule(read(task.path), task.inputs, task.meant, NIR_MEANING)
    with one_at_a_time(f"tests-{name}"):
        found = {each.mode: each for each in crossing.cross(task, live, runner, tmp_path, lambda: None)}
    native, reconciled = found[Mode.NATIVE], found[Mode.RECONCILED]
    assert reconciled.plan is not None
    assert meant.output is not None and meant.output.any()
    if native.ran.output is None or not np.array_equal(native.ran.output, meant.output):
        assert native.causes, native.ran.failed
    if reconciled.plan.exact:
        assert reconciled.ran.output is not None, reconciled.ran.failed
        np.testing.assert_array_equal(reconciled.ran.output, meant.output)
        assert reconciled.ran.accuracy(task.inputs.labels) == meant.accuracy(task.inputs.labels)
    else:
        assert Cause.UNEXPLAINED not in {share.cause for share in reconciled.causes}
        assert reconciled.causes
