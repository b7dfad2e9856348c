"""A file never runs code: names that would write a file are given to every adapter and every verb, and the file is watched."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import pickle
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nir_interop.arrays import save_arrays
from nir_interop.backends.adapter import load_adapter, read_graph
from nir_interop.backends.environments import backend as find
from nir_interop.cli import app
from nir_interop.errors import BadInput
from nir_interop.graphs import from_nir, inline, read, write
from nir_interop.interface.arguments import inputs_of, renamed_of
from nir_interop.matrix.campaign import run as run_matrix
from nir_interop.matrix.plan import make_plan
from nir_interop.networks.serialization import document_of, network_from
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.report.repro import write_repro
from nir_interop.safe_names import is_safe
from nir_interop.schema import REPORT, read_table, write_table
from nir_interop.store.store import Store
from nir_interop.transfer.check import run_graph
from nir_interop.transfer.importing import cell, meaning
from nir_interop.vocabulary import Reset
from nir_interop.workers.jobs import OK, Cell, Meaning
from nir_interop.workers.live import LiveBackend, network_of_graph
from nir_interop.workers.progress import JobProgress
from tests.command_line import run
from tests.known import CORE
from tests.names.hostile import CANARY, IN_A_STRING, NAMES, ODD, PAYLOADS, hostile_graph
from tests.names.name_sensitive_backends import Executing, HostileExporter, backend
from tests.places import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

LIBRARIES = CORE
DT = 1e-4


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that a payload would write, in this process and in all that it starts."""
    path = tmp_path / "canary"
    monkeypatch.setenv(CANARY, str(path))
    return path


def drive(size: int = 3, steps: int = 20) -> Any:
    return (np.random.default_rng(1).random((steps, 2, size)) < 0.6).astype(np.float32)


# That the payloads are ones: a test that cannot fail watches nothing.


def test_nirtorch_runs_a_name_that_it_is_given(canary: Path, tmp_path: Path) -> None:
    import nir
    import nirtorch
    import torch

    write(tmp_path / "one.nir", hostile_graph([IN_A_STRING]))
    nirtorch.nir_to_torch(nir.read(tmp_path / "one.nir"), {})(torch.ones(1, 3))
    assert canary.exists(), "nirtorch runs names no more: say so in docs/upstream/nirtorch-names.md"


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_case_that_nirtorchs_maintainers_are_told_of_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "upstream" / "nirtorch-names.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(page.split("```python\n")[1].split("```")[0], {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph.nir", "written_by_a_name"]


@pytest.mark.parametrize("name", [name for name in PAYLOADS if "touch" not in name and "{" not in name])
def test_a_library_that_runs_names_would_run_these(name: str, canary: Path, tmp_path: Path) -> None:
    write(tmp_path / "one.nir", hostile_graph([name]))
    Executing().load(tmp_path / "one.nir", DT)
    assert canary.exists()


@pytest.mark.parametrize("name", [name for name in PAYLOADS if "touch" in name])
def test_a_shell_would_run_these(name: str, canary: Path) -> None:
    subprocess.run(["/bin/sh", "-c", f"echo {name}"], capture_output=True, check=False)
    assert canary.exists()


# Adapters.


def given(path: Path, folder: Path) -> dict[str, Any]:
    """What a job that runs a graph is given."""
    save_arrays(folder / "stimulus.npz", {"input": drive()})
    nodes = tuple(name for name in read(path).nodes if name not in ("input", "output"))
    paths = {"graph": str(path), "stimulus": str(folder / "stimulus.npz"), "save": str(folder / "made.npz")}
    return {"dt": DT, "seed": 0, "nodes": nodes, **paths}


@pytest.mark.parametrize("name", [*LIBRARIES, "reference", "exact"])
def test_every_adapter_is_given_safe_names_and_answers_under_the_files_own(
    name: str, evil: Path, canary: Path, tmp_path: Path
) -> None:
    simulate(read(evil), drive(), DT).save(tmp_path / "source.npz")
    adapter = load_adapter(name)
    adapter.prepare()
    job = Cell(**given(evil, tmp_path), source=str(tmp_path / "source.npz"), readout="rate")
    found = cell(adapter, job, JobProgress())
    assert not canary.exists()
    assert found.comparison is not None
    assert found.comparison.outputs == 120, found
    assert found.missing == ()
    recording = Recording.load(tmp_path / "made.npz")
    neurons = {each for each, node in read(evil).primitives() if node.kind == "LIF"}
    assert set(recording.spikes) == neurons
    if name != "exact":
        assert found.comparison.mismatched == 0 or found.first_node in neurons


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_nested_graph_is_given_safe_names_on_every_level(name: str, canary: Path, tmp_path: Path) -> None:
    from nir_interop.graphs import Graph
    from tests.strategies import port

    inner = hostile_graph([*PAYLOADS, *ODD[:4]])
    nodes = {"input": port("Input", 3), f"{IN_A_STRING} ": inner, "output": port("Output", 3)}
    path = tmp_path / "nested.nir"
    write(path, Graph(nodes, (("input", f"{IN_A_STRING} "), (f"{IN_A_STRING} ", "output"))))
    adapter = load_adapter(name)
    adapter.prepare()
    meaning(adapter, Meaning(**given(path, tmp_path)), JobProgress())
    assert not canary.exists()


@pytest.mark.parametrize("name", LIBRARIES)
def test_an_adapter_that_is_called_by_itself_gives_no_code_to_its_library(name: str, evil: Path, canary: Path) -> None:
    adapter = load_adapter(name)
    adapter.prepare()
    with pytest.raises(Exception, match="could be run as code"):
        adapter.load(evil, DT)
    assert not canary.exists()


def test_what_a_library_says_of_a_safe_name_is_said_of_the_files_own(canary: Path, tmp_path: Path) -> None:
    """SpikingJelly's refusals and nir's reader name no node, nirtorch's KeyError does."""
    graph = hostile_graph(["lif one", "lif two", "lif three"])
    path = tmp_path / "names.nir"
    write(path, graph)
    with LiveBackend(backend(Executing)) as live:
        recording = live(graph, drive(), DT)
        outcome = live.start().work(Meaning(**given(path, tmp_path)), 20)
    assert set(recording.spikes) == {"lif one", "lif two", "lif three"}
    assert outcome.status == OK
    assert {f"[WARNING] ignored: {name}" for name in recording.spikes} <= set(outcome.complaints)


def test_a_network_of_a_library_has_layers_of_safe_names(canary: Path) -> None:
    graph = hostile_graph([f"{_} {IN_A_STRING}" for _ in range(2)])
    network = network_of_graph(graph, DT, Reset.VALUE)
    with pytest.raises(Exception, match="a module is not called so"):
        network_from(document_of(network))


# Verbs.  A backend that runs names stands for the libraries where they would take too long.


def test_check_gives_a_library_safe_names(evil: Path, canary: Path, tmp_path: Path) -> None:
    given = tmp_path / "out"
    found = run_graph(evil, drive(), DT, [backend(Executing)], find("reference"), save=given)
    assert not canary.exists()
    assert found[0].outcome.missing == ()
    assert sorted(path.name for path in given.iterdir()) == ["executing.npz", "reference.npz"]
    assert set(Recording.load(given / "executing.npz").spikes) == set(NAMES)


def test_explaining_and_reconciling_give_a_library_safe_names(evil: Path, canary: Path) -> None:
    with LiveBackend(backend(Executing)) as live:
        found = live(inline(read(evil)), drive(), DT)
    assert not canary.exists()
    assert set(found.spikes) == set(NAMES)


def test_matrix_and_repro_give_a_library_safe_names(canary: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    plan = make_plan(networks=["mlp_if"], dts=(DT,), known=[backend(Executing), backend(HostileExporter)])
    found = run_matrix(plan, store, jobs=1)
    (one,) = [each for each in found.cells if each.job.importer == "executing"]
    assert one.outcome.missing == ()
    write_table(tmp_path / "report.csv", found.report_rows(), REPORT)
    assert len(read_table(tmp_path / "report.csv", REPORT)) == len(found.report_rows())
    exported = read(store.object(one.source.outcome.objects["graph.nir"]))
    assert set(exported.nodes) & set(PAYLOADS), "the store keeps what the library wrote"

    files = write_repro(
        replace(one, job=replace(one.job, importer="reference")), store, tmp_path / "folder", found.described["executing"]
    )
    assert all(map(is_safe, read_graph(files[0]).nodes))
    script = files[2].read_text(encoding="utf-8")
    assert isinstance(ast.parse(script).body[0], ast.Expr)
    assert not any(name in script for name in PAYLOADS)
    assert not canary.exists()


def assert_plain(done: subprocess.CompletedProcess[str]) -> None:
    """Nothing that a terminal would act on, and no traceback."""
    for text in (done.stdout, done.stderr):
        assert all(letter.isprintable() or letter == "\n" for letter in text), repr(text)
        assert "Traceback" not in text


@pytest.mark.slow
def test_check_with_every_backend(evil: Path, canary: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "input.npz", input=drive())
    given = ("--input", "input.npz", "--save", "out")
    done = run("check", "evil.nir", "--json", *given, cwd=tmp_path)
    assert not canary.exists()
    assert_plain(done)
    document = json.loads(done.stdout)
    assert {each["importer"]: each["status"] for each in document["cells"]}["snntorch"] == "exact"
    assert set(document["renamed"]) >= set(NAMES)
    assert all(map(is_safe, document["renamed"].values()))
    assert "could be run as code" in done.stderr and len(done.stderr.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"evil.nir", "input.npz", "out"}
    shown = run("check", "evil.nir", *given, "--backend", "norse", cwd=tmp_path)
    assert_plain(shown)
    assert not canary.exists()


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
def test_explain_and_reconcile_with_every_library(library: str, canary: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil.nir"
    write(evil, hostile_graph([*PAYLOADS, *ODD[:12]]))
    np.savez(tmp_path / "input.npz", input=drive())
    given = ("--input", "input.npz")
    assert_plain(run("explain", "evil.nir", "--backend", library, *given, cwd=tmp_path))
    done = run("reconcile", "evil.nir", "--to", library, "-o", "out.nir", *given, cwd=tmp_path)
    assert not canary.exists()
    assert_plain(done)
    assert done.returncode == 0, done.stderr
    written = read(tmp_path / "out.nir")
    assert all(map(is_safe, written.nodes))
    assert "as a library can take it" in done.stdout
    adapter = load_adapter(library)  # as a user does who is given the file
    adapter.prepare()
    made = adapter.run(adapter.load(tmp_path / "out.nir", DT), drive())
    np.testing.assert_allclose(made.output, simulate(read(evil), drive(), DT).output, atol=1e-4)
    assert from_nir(read_graph(tmp_path / "out.nir")).nodes.keys() == written.nodes.keys()
    assert not canary.exists()


@pytest.mark.parametrize(
    "verb", [("check",), ("explain", "--backend", "norse"), ("reconcile", "--to", "norse", "-o", "out.nir")]
)
@pytest.mark.parametrize("where", ["type", "padding", "shape", "version"])
def test_a_text_in_the_place_of_a_type_or_a_number_is_a_line(
    where: str, verb: tuple[str, ...], canary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import h5py

    monkeypatch.chdir(tmp_path)
    write(tmp_path / "text.nir", hostile_graph(["fc"]))
    evil = f"{IN_A_STRING}\x1b[31m\n"
    with h5py.File(tmp_path / "text.nir", "r+") as file:
        group = {"version": file, "shape": file["node/nodes/input"]}.get(where, file["node/nodes/fc"])
        if where in group:
            del group[where]
        group[where] = f"2.{evil}" if where == "version" else evil
        if where == "padding":
            del group["type"]
            group["type"] = "Conv2d"
    done = CliRunner().invoke(app, [verb[0], "text.nir", *verb[1:]], catch_exceptions=True)
    assert isinstance(done.exception, BadInput), done.output
    assert str(done.exception).isprintable()
    assert not canary.exists()


def test_a_user_is_told_of_names_that_are_code_and_not_of_numbers(tmp_path: Path) -> None:
    told: list[str] = []
    write(tmp_path / "numbers.nir", hostile_graph(["0", "1.lif", "2"]))
    inputs_of(tmp_path / "numbers.nir", None, DT, 0, 5, time_limit=60, tell=told.append)
    assert told == []
    assert set(renamed_of(tmp_path / "numbers.nir")) == {"0", "1.lif", "2"}
    write(tmp_path / "evil.nir", hostile_graph(["0", IN_A_STRING, "training"]))
    inputs_of(tmp_path / "evil.nir", None, DT, 0, 5, time_limit=60, tell=told.append)
    (line,) = told
    assert line.isprintable() and "'training" in line and "and 1 more" in line


# What else the product reads.


class Pickled:
    """Writes the file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
        return os.system, (f"touch {shlex.quote(os.environ[CANARY])}",)


def test_an_npz_is_never_unpickled(canary: Path, tmp_path: Path) -> None:
    from nir_interop.arrays import load_arrays
    from nir_interop.errors import BadStimulus
    from nir_interop.stimuli import load_output, load_stimulus

    held = np.empty(1, dtype=object)
    held[0] = Pickled()
    for key in ("input", "output", "index", "a0"):
        arrays: dict[str, Any] = {"input": drive(), "output": drive(), "index": np.array("[]")}
        np.savez(tmp_path / "evil.npz", **(arrays | {key: held}))
        for read_it in (
            lambda path: load_stimulus(path, (3,)),
            lambda path: load_output(path, drive()),
            Recording.load,
            load_arrays,
        ):
            with contextlib.suppress(BadStimulus, ValueError, KeyError, TypeError):
                read_it(tmp_path / "evil.npz")
            assert not canary.exists(), key
    pickle.loads(pickle.dumps(Pickled()))
    assert canary.exists(), "the payload is none"


def test_a_store_that_somebody_sent_is_data(canary: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    folder = tmp_path / "store" / "cells"
    folder.mkdir(parents=True)
    folder.joinpath("key.json").write_bytes(pickle.dumps(Pickled()))
    assert store.get("cells", "key") is None
    assert not canary.exists()
