"""The command line as a user meets it: what answers at once, and what one clear line says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from nir_interop.compare import assert_same_spikes
from nir_interop.graphs import Graph, write
from nir_interop.recording import Recording
from nir_interop.reference import Simulator, read
from tests.command_line import run
from tests.strategies import node, port


def lif_graph(**changes: list[float]) -> Graph:
    values = {"tau": [2e-3] * 3, "r": [1.0] * 3, "v_leak": [0.0] * 3, "v_reset": [0.0] * 3, "v_threshold": [1.0] * 3} | changes
    weight = np.float32(np.random.default_rng(0).normal(3.0, 4.0, (3, 4)))
    nodes = {
        "input": port("Input", 4),
        "fc": node("Affine", weight=weight, bias=np.zeros(3, np.float32)),
        "lif": node("LIF", **{name: np.float32(value) for name, value in values.items()}),
        "output": port("Output", 3),
    }
    return Graph(nodes, (("input", "fc"), ("fc", "lif"), ("lif", "output")))


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "graph.nir"
    write(path, lif_graph())
    return path


def imported_by(*arguments: str) -> set[str]:
    """The modules that a verb imports."""
    code = (
        "import sys\nfrom nir_interop.cli import app\ntry:\n    app(" + repr(list(arguments)) + ")\n"
        "except SystemExit:\n    pass\nprint(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [("--help",), ("backends",)])
def test_help_and_backends_import_no_library(arguments: tuple[str, ...]) -> None:
    loaded = imported_by(*arguments)
    assert "nir_interop.cli" in loaded
    assert loaded.isdisjoint({"torch", "nir", "pandas", "h5py", "snntorch", "norse", "spikingjelly"})


def test_backends_lists_every_adapter_with_its_version() -> None:
    found = {each["name"]: each for each in json.loads(run("backends", "--json").stdout)["backends"]}
    assert set(found) >= {"exact", "norse", "reference", "snntorch", "spikingjelly"}
    assert found["norse"]["versions"]["norse"] == "1.1.0"
    assert all(
        each["installed"] for name, each in found.items() if name in ("exact", "norse", "reference", "snntorch", "spikingjelly")
    )


def test_check_finds_who_agrees_with_nirs_meaning(graph: Path, tmp_path: Path) -> None:
    done = run("check", str(graph), "--json", "--backend", "reference", "--backend", "norse", "--save", str(tmp_path / "out"))
    document = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert [(cell["importer"], cell["status"], cell["mismatched"]) for cell in document["cells"]] == [
        ("reference", "exact", 0), ("norse", "exact", 0)
    ]  # fmt: skip
    assert document["dt"] == 1e-4
    recording = Recording.load(tmp_path / "out" / "norse.npz")
    assert recording.output.shape == (200, 12, 3)
    assert recording.output.sum() > 20


def test_what_check_saves_is_read_as_an_input_and_as_a_recording(graph: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("check", str(graph), "--quiet", "--backend", "reference", "--save", str(out)).returncode == 0
    with np.load(out / "reference.npz") as saved:
        x, output = saved["input"], saved["output"]
    assert x.shape == (200, 12, 4) and output.shape == (200, 12, 3)
    assert_same_spikes(Simulator(read(graph), 1e-4).run(x)[0].output, output)
    again = run("check", str(graph), "--json", "--backend", "reference", "--input", str(out / "reference.npz"))
    (cell,) = json.loads(again.stdout)["cells"]
    assert (cell["outputs"], cell["mismatched"]) == (200 * 12 * 3, 0)
    done = run(
        "reconcile", str(graph), "--to", "reference", "-o", str(tmp_path / "o.nir"), "--dt", "1e-4", "--json",
        "--from-recording", str(out / "reference.npz"),
    )  # fmt: skip
    assert json.loads(done.stdout)["mismatched_before"] == 0, done.stderr


def test_check_exits_1_where_a_library_ignores_a_parameter(tmp_path: Path) -> None:
    path = tmp_path / "gain.nir"
    write(path, lif_graph(r=[0.5] * 3))
    done = run("check", str(path), "--json", "--backend", "norse", "--seed", "3")
    (cell,) = json.loads(done.stdout)["cells"]
    assert done.returncode == 1
    assert cell["status"] == "mismatch"
    assert cell["mismatched"] > 0
    assert cell["first_node"] == "lif"


def test_check_takes_the_users_own_input(graph: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", input=np.zeros((7, 2, 4), np.float32))
    done = run("check", str(graph), "--input", str(tmp_path / "x.npz"), "--json", "--backend", "reference")
    (cell,) = json.loads(done.stdout)["cells"]
    assert (cell["status"], cell["outputs"]) == ("vacuous", 42)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "missing.nir"), "missing.nir"),
        (("check", "{graph}", "--backend", "brian"), "brian"),
        (("check", "{graph}", "--dt", "-1"), "positive"),
        (("check", "{graph}", "--input", "{graph}"), "npz"),
        (("matrix", "--network", "mlp"), "no network 'mlp'"),
        (("matrix", "--exporter", "brian"), "brian"),
        (("matrix", "--dt", "0"), "positive"),
        (("repro", "nonsense"), "nonsense"),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(arguments: tuple[str, ...], said: str, graph: Path, tmp_path: Path) -> None:
    done = run(*(text.format(graph=graph) for text in arguments), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert said in done.stderr
    assert not (tmp_path / "results").exists()


def bad_files(folder: Path) -> dict[str, Path]:
    """Files that are no graphs, by what is wrong with them."""
    good = folder / "good.nir"
    write(good, lif_graph())
    whole = good.read_bytes()
    contents = {"empty": b"", "truncated": whole[: len(whole) // 2], "text": b"not HDF5 at all"}
    paths = {name: folder / f"{name}.nir" for name in contents}
    for name, content in contents.items():
        paths[name].write_bytes(content)
    paths["other"] = folder / "other.nir"
    with h5py.File(paths["other"], "w") as file:
        file["x"] = 1
    two = lif_graph()
    paths["two inputs that do not add up"] = folder / "two.nir"
    again = {"again": port("Input", 7)}
    write(paths["two inputs that do not add up"], Graph(dict(two.nodes) | again, (*two.edges, ("again", "fc"))))
    paths["infinite"] = folder / "infinite.nir"
    write(paths["infinite"], lif_graph(tau=[np.inf] * 3))
    paths["reset above"] = folder / "reset.nir"
    write(paths["reset above"], lif_graph(v_reset=[2.0] * 3))
    return paths


def test_a_file_that_is_no_graph_is_one_line_and_exit_2(tmp_path: Path) -> None:
    for what, path in bad_files(tmp_path).items():
        done = run("check", str(path))
        assert done.returncode == 2, what
        assert len(done.stderr.strip().splitlines()) == 1, (what, done.stderr)
        assert done.stdout == "", what
