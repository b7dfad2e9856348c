"""``nir-interop reconcile``: bad calls change nothing and say why; good ones write a graph that the library runs as meant."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nir_interop.compare import assert_same_spikes
from nir_interop.graphs import read, write
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, Gain
from nir_interop.stimuli import bernoulli
from tests.cli.test_cli import lif_graph
from tests.command_line import run
from tests.known import running

"""Fingerprints are kept where ``make matrix`` keeps them: finding one takes seconds."""


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "graph.nir"
    write(path, lif_graph(r=[10.0] * 3))
    return path


BAD = {
    "onto the input": (["graph.nir", "--to", "norse", "-o", "graph.nir"], "that is the graph itself"),
    "unknown target": (["graph.nir", "--to", "brian", "-o", "out.nir"], "norse"),
    "unknown source": (["graph.nir", "--from", "brian", "--to", "norse", "-o", "out.nir"], "norse"),
    "no step": (["graph.nir", "--to", "reference", "--dt-to", "0", "-o", "out.nir"], "--dt-to 0"),
    "unknown axis": (["graph.nir", "--to", "reference", "--from-rule", "colour=red", "-o", "out.nir"], "no axis 'colour'"),
    "unknown value": (["graph.nir", "--to", "reference", "--from-rule", "reset=soft", "-o", "out.nir"], "subtract"),
    "no such graph": (["nothing.nir", "--to", "reference", "-o", "out.nir"], "nothing.nir"),
    "another number of outputs": (
        ["graph.nir", "--to", "reference", "--from-recording", "more.npz", "-o", "out.nir"],
        "no rewriting changes their number",
    ),
    "no output": (["graph.nir", "--to", "reference", "--from-recording", "x.npz", "-o", "out.nir"], "no key 'output'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_call_writes_nothing_and_says_in_one_line_what_to_do(name: str, graph: Path) -> None:
    arguments, words = BAD[name]
    nothing = np.zeros((5, 2, 4), dtype=np.float32)
    np.savez(graph.parent / "x.npz", input=nothing)
    np.savez(graph.parent / "more.npz", input=nothing, output=np.zeros((5, 2, 7), dtype=np.float32))
    before = graph.read_bytes()
    done = run("reconcile", *arguments, cwd=graph.parent)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("nir-interop: ")
    assert words in line
    assert not (graph.parent / "out.nir").exists()
    assert graph.read_bytes() == before


def test_a_graph_that_needs_nothing_is_written_as_it_is(graph: Path) -> None:
    done = run("reconcile", "graph.nir", "--to", "reference", "-o", "out.nir", "--json", cwd=graph.parent)
    document = json.loads(done.stdout)
    assert (done.returncode, document["passes"], document["exact"], document["basis"]) == (0, [], True, "proof")
    assert read(graph.parent / "out.nir").edges == read(graph).edges


def test_what_norse_ignores_is_put_where_norse_reads_it(graph: Path) -> None:
    """The promise, held with the library's own importer and nothing else of this project's."""
    done = run("reconcile", "graph.nir", "--to", "norse", "-o", "out.nir", "--json", cwd=graph.parent)
    document = json.loads(done.stdout)
    assert (done.returncode, document["exact"], document["basis"], document["mismatched"]) == (0, True, "measured", 0)
    assert document["mismatched_before"] > 0
    assert [each["name"] for each in document["passes"]] == ["fold_resistance"]
    stimulus = bernoulli((4,), 80, 4, 0.3, 7)
    norse = running("norse")
    made = norse(read(graph.parent / "out.nir"), stimulus, 1e-4)
    meant = simulate(read(graph), stimulus, 1e-4)
    assert meant.output.sum() > 20
    assert_same_spikes(made.output, meant.output)


def test_what_a_library_computed_tells_how_the_file_that_it_wrote_is_to_be_read(graph: Path) -> None:
    """A source that adds its input as it is, and wrote r = 10: under NIR's meaning its file is something else."""
    stimulus = bernoulli((4,), 80, 4, 0.3, 7)
    made = simulate(read(graph), stimulus, 1e-4, {"LIF": NIR_MEANING.but(gain=Gain.ONE)})
    np.savez(graph.parent / "native.npz", input=stimulus, output=made.output)
    done = run(
        "reconcile",
        "graph.nir",
        "--to",
        "reference",
        "--from-recording",
        "native.npz",
        "-o",
        "out.nir",
        "--json",
        cwd=graph.parent,
    )
    document = json.loads(done.stdout)
    assert (done.returncode, document["exact"], document["mismatched"]) == (0, True, None)
    assert document["mismatched_before"] > 0
    reading = document["source_reading"]
    assert (reading["fits"], reading["plain"], reading["missed"], reading["options"]) == (
        True,
        False,
        0,
        "--from-rule gain=one",
    )
    assert "--from-rule gain=one" in reading["says"]
    assert_same_spikes(simulate(read(graph.parent / "out.nir"), stimulus, 1e-4).output, made.output)


def test_a_soft_reset_is_named_by_whose_it_is_and_nothing_is_called_inexpressible(graph: Path) -> None:
    """What a library computed by itself, its neurons called by hand: the file it writes resets to zero, its neurons do not."""
    snntorch = pytest.importorskip("snntorch")
    torch = pytest.importorskip("torch")
    stimulus = bernoulli((4,), 80, 4, 0.3, 7)
    weight = torch.tensor(np.array(read(graph).nodes["fc"]["weight"]))  # type: ignore[index]
    neuron = snntorch.Leaky(beta=torch.full((3,), 0.95), threshold=torch.full((3,), 1.0))
    mem, output = neuron.reset_mem(), []
    with torch.no_grad():
        for frame in torch.from_numpy(stimulus):
            spikes, mem = neuron(frame @ weight.T, mem)
            output.append(spikes.numpy())
    write(graph, lif_graph(r=[20.0] * 3))
    np.savez(graph.parent / "native.npz", input=stimulus, output=np.stack(output))
    done = run(
        "reconcile",
        "graph.nir",
        "--to",
        "reference",
        "--from-recording",
        "native.npz",
        "-o",
        "out.nir",
        "--json",
        cwd=graph.parent,
    )
    reading = json.loads(done.stdout)["source_reading"]
    assert (reading["fits"], reading["options"]) == (True, "--from-rule reset=subtract,timing=late")
    assert "snntorch's Leaky(reset_mechanism='subtract', reset_delay=True)" in reading["whose"]
    assert "not_expressible" not in done.stdout
