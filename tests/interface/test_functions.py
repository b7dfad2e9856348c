"""check, explain, reconcile, simulate: what they answer, whatever way graph and input are given."""

from __future__ import annotations

import doctest
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch

import nir_interop as ni
from nir_interop.interface.results import Check, Explanation, Reconciliation
from nir_interop.vocabulary import Blame, Cause, Status


def test_check_has_of_each_backend_status_numbers_and_recording(checked: Check) -> None:
    assert list(checked) == ["norse", "snntorch"]
    assert not checked.agrees
    right, wrong = checked["snntorch"], checked["norse"]
    assert (right.status, right.mismatched, right.outputs, right.agrees) == (Status.EXACT, 0, 1600, True)
    assert wrong.status == "mismatch"
    assert wrong.recording is not None and wrong.recording.output.shape == (100, 4, 4)
    assert wrong.mismatched == np.count_nonzero(wrong.recording.output != checked.meant.output) > 0
    with pytest.raises(KeyError):
        checked["nobody"]


def test_a_graph_is_a_path_or_nirs_own_object_and_an_input_an_array_a_tensor_or_a_file(
    graph: Path, x: Any, tmp_path: Path, checked: Check
) -> None:
    np.savez(tmp_path / "x.npz", input=x)
    found = nir.read(graph)
    tensor = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    for given in (str(graph), graph, found):
        for fed in (tensor, x.astype(bool), tmp_path / "x.npz", str(tmp_path / "x.npz")):
            assert ni.simulate(given, fed).digest() == ni.simulate(graph, x).digest()
    assert np.array_equal(ni.simulate(graph, x).output, checked.meant.output)
    assert sorted(found.nodes) == ["fc1", "input", "lif1", "output"]  # it is not touched
    again = ni.check(found, input=tensor, backends=["norse"])
    assert again["norse"].mismatched == checked["norse"].mismatched


def test_explain_says_who_and_why(why: Explanation, checked: Check) -> None:
    assert (why.status, why.blame, why.explained) == (Status.MISMATCH, Blame.IMPORTER, 1.0)
    (cause,) = why.causes
    assert (cause.cause, cause.nodes, cause.repaired) == (Cause.RESISTANCE_IGNORED, ("lif1",), checked["norse"].mismatched)
    assert "norse ignores r (here 25)" in why.text and "nir_interop.reconcile(graph, to='norse', input=input)" in why.text
    assert why.recording is not None and why.recording.digest() == checked["norse"].recording.digest()
    assert why.meant.digest() == checked.meant.digest()


def test_reconcile_gives_a_graph_that_the_library_runs_right(
    fixed: Reconciliation, graph: Path, x: Any, tmp_path: Path
) -> None:
    assert fixed.right and fixed.exact and fixed.remaining == ()
    (one,) = fixed.passes
    assert (one.name, one.nodes) == ("fold_resistance", ("fc1", "lif1"))
    assert isinstance(fixed.graph, nir.NIRGraph)
    assert fixed.write(tmp_path / "out.nir") == tmp_path / "out.nir"
    for given in (fixed.graph, tmp_path / "out.nir"):
        assert ni.check(given, input=x, backends=["norse"]).agrees
    with pytest.raises(ni.BadInput, match="that is the graph itself"):
        fixed.write(graph)
    with pytest.raises(ni.BadInput, match="there is no such folder"):
        fixed.write(tmp_path / "none" / "out.nir")


def test_what_the_source_computed_may_be_given(graph: Path, x: Any) -> None:
    output = ni.simulate(graph, x).output
    found = ni.reconcile(graph, to="reference", input=x, output=torch.tensor(output))
    assert found.right and not found.passes
    with pytest.raises(ni.BadStimulus, match="the output has axes"):
        ni.reconcile(graph, to="reference", input=x, output=output[1:])
    with pytest.raises(ni.BadInput, match="output: that is of an input"):
        ni.reconcile(graph, to="reference", output=output)


def test_what_cannot_be_reconciled_says_why_when_its_graph_is_asked_for(graph: Path, x: Any, tmp_path: Path) -> None:
    wrong = 1 - ni.simulate(graph, x).output
    found = ni.reconcile(graph, to="reference", input=x, output=wrong)
    assert not found.right and found.remaining
    with pytest.raises(ni.NotReconciled, match="reference does not give every output: "):
        _ = found.graph
    with pytest.raises(ni.NotReconciled):
        found.write(tmp_path / "out.nir")
    assert not list(tmp_path.iterdir())


def command(*words: str, cwd: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "nir_interop", *words, "--json"], capture_output=True, text=True, cwd=cwd, timeout=240
    )
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_the_verbs_print_what_the_functions_answer(
    graph: Path, x: Any, tmp_path: Path, checked: Check, why: Explanation, fixed: Reconciliation
) -> None:
    np.savez(tmp_path / "x.npz", input=x)
    fed = (str(graph), "--input", "x.npz")
    said = command("check", *fed, "--backend", "norse", "--backend", "snntorch", cwd=tmp_path)
    assert said == checked.to_dict()
    assert command("explain", *fed, "--backend", "norse", cwd=tmp_path) == why.to_dict()
    assert command("reconcile", *fed, "--to", "norse", "-o", "out.nir", cwd=tmp_path) == fixed.to_dict() | {
        "written": "out.nir"
    }
    assert command("backends", cwd=tmp_path) == ni.backends().to_dict()


def test_answers_become_frames_and_json(checked: Check, why: Explanation, fixed: Reconciliation) -> None:
    for found in (checked, why, fixed, ni.backends()):
        assert json.loads(json.dumps(found.to_dict())) == found.to_dict()
    frame = checked.to_frame().set_index("importer")
    assert frame.loc["norse", "mismatched"] == checked["norse"].mismatched and len(frame) == 2
    assert why.to_frame()["cause"].tolist() == ["resistance_ignored"]
    assert fixed.to_frame()["name"].tolist() == ["fold_resistance"]
    assert ni.backends().to_frame().set_index("backend").loc[["norse", "snntorch"], "installed"].all()


def test_recordings_are_saved_where_they_are_asked_for(graph: Path, x: Any, tmp_path: Path) -> None:
    found = ni.check(graph, input=x, backends=["reference"], save=tmp_path / "kept")
    with np.load(tmp_path / "kept" / "reference.npz") as saved:
        assert np.array_equal(saved["output"], found.meant.output) and np.array_equal(saved["input"], x)


def test_temporary_files_go_with_the_answer(graph: Path, x: Any) -> None:
    found = ni.check(graph, input=x, backends=["reference"])
    kept = found["reference"].kept
    assert kept is not None
    folder = kept.folder
    assert folder.is_dir()
    del found, kept
    assert not folder.exists()


EXAMPLES = ("backends", "check", "explain", "reconcile", "rules", "simulate", "upgrade")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_docstrings_run(name: str, graph: Path, x: Any) -> None:
    function = getattr(ni, name)
    example = doctest.DocTestParser().get_doctest(inspect.getdoc(function) or "", {"graph": graph, "x": x}, name, None, None)
    assert example.examples
    said: list[str] = []
    doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert not said, "".join(said)
