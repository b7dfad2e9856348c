"""``nir-interop explain``: who and why, in JSON and in English, on a graph of the user's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nir_interop.graphs import write
from tests.cli.test_cli import lif_graph
from tests.command_line import run

"""Fingerprints are kept where ``make matrix`` keeps them: finding one takes seconds."""


@pytest.fixture(scope="module")
def ignored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph whose r is 10, in a library that takes no notice of it."""
    path = tmp_path_factory.mktemp("graph") / "r_is_10.nir"
    write(path, lif_graph(r=[10.0] * 3))
    return path


@pytest.fixture(scope="module")
def found(ignored: Path) -> tuple[int, dict[str, Any]]:
    done = run("explain", str(ignored), "--backend", "norse", "--json", cwd=ignored.parent)
    return done.returncode, json.loads(done.stdout)


def test_the_parameter_that_is_ignored_is_named_and_explains_every_output(found: tuple[int, dict[str, Any]]) -> None:
    code, document = found
    assert (code, document["status"], document["blame"]) == (1, "mismatch", "importer")
    (cause,) = document["causes"]
    assert (cause["cause"], cause["nodes"], document["explained"]) == ("resistance_ignored", ["lif"], 1.0)
    assert cause["repaired"] == document["mismatched"] > 0
    assert document["rule"]["LIF"]["resistance"] == "ignored"
    assert "ignores r" in document["rule"]["LIF"]["says"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_the_claim_holds_with_the_library_itself(ignored: Path, found: tuple[int, dict[str, Any]]) -> None:
    """What the verdict claims, by hand: Norse gives for r = 10 what it gives for r = 1."""
    import nir
    import norse.torch
    import torch

    graph = nir.read(ignored)
    one = nir.read(ignored)
    one.nodes["lif"].r = np.ones_like(one.nodes["lif"].r)
    x = torch.tensor((np.random.default_rng(5).random((50, 8, 4)) < 0.4).astype(np.float32))
    spikes = []
    for each in (graph, one):
        model, state, steps = norse.torch.from_nir(each, dt=1e-4), None, []
        for step in x:
            out, state = model(step, state)
            steps.append(out)
        spikes.append(torch.stack(steps))
    assert spikes[0].sum() > 0
    assert torch.equal(*spikes)


def test_on_a_terminal_it_is_a_short_text_with_the_spikes_around_the_first_difference(ignored: Path) -> None:
    done = run("explain", str(ignored), "--backend", "norse", cwd=ignored.parent)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("norse 1.1.0: ")
    assert "outputs are not what NIR means by r_is_10.nir" in lines[0]
    (cause,) = [line for line in lines if line.startswith("- resistance_ignored: repairs ")]
    assert " outputs at lif: norse ignores r (here 10)" in cause
    assert "Every output is right once the graph is rewritten (fold_resistance):" in lines
    assert f"  nir-interop reconcile {ignored} --to norse -o OUT.nir" in lines
    assert any(line.startswith("norse's rule for LIF: ") for line in lines)
    first = next(number for number, line in enumerate(lines) if line.startswith("First divergence: step "))
    meant, made, marks = lines[first + 2 : first + 5]
    assert (meant.split()[0], made.split()[0]) == ("NIR", "norse")
    marked = [column for column, mark in enumerate(marks) if mark == "!"]
    assert marked
    assert all(meant[column] != made[column] for column in marked)


def test_a_graph_that_is_run_as_meant_has_nothing_to_explain_and_exits_0(tmp_path: Path) -> None:
    path = tmp_path / "plain.nir"
    write(path, lif_graph())
    done = run("explain", str(path), "--backend", "norse", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "computes what NIR means by plain.nir" in done.stdout.splitlines()[0]
    assert "Blame" not in done.stdout


def test_what_a_library_declines_is_told_in_its_words(tmp_path: Path) -> None:
    path = tmp_path / "leak.nir"
    write(path, lif_graph(v_leak=[0.25] * 3))
    done = run("explain", str(path), "--backend", "snntorch", "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert (done.returncode, document["status"], document["blame"]) == (1, "refused", "importer")
    assert [each["cause"] for each in document["causes"]] == ["unsupported"]
    assert "v_leak not supported" in document["error_message"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("missing.nir", "--backend", "norse"), "missing.nir"), (("graph.nir", "--backend", "nobody"), "no backend 'nobody'")],
)
def test_bad_usage_is_one_line(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    write(tmp_path / "graph.nir", lif_graph())
    done = run("explain", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
