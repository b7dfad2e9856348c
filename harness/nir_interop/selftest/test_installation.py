"""The reference means what NIR means, every installed library runs a graph, names are safe, and what is shipped is there."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, assert_type

import nir
import numpy as np
import pytest

import nir_interop as ni
from nir_interop.reference.steps import lif_step
from nir_interop.transfer.check import Checked

DT = 1e-4
BACKENDS = [each.name for each in ni.backends() if each.installed]


def graph(**names: str) -> nir.NIRGraph:
    """Affine and LIF, 8 → 4.

    names : what ``fc`` and ``lif`` are called instead
    """
    random = np.random.default_rng(0)
    each = np.ones(4, np.float32)
    nodes: dict[str, Any] = {
        "input": nir.Input({"input": np.array([8])}),
        names.get("fc", "fc"): nir.Affine(random.normal(0.5, 2, (4, 8)).astype(np.float32), 0.1 * each),
        names.get("lif", "lif"): nir.LIF(tau=2e-3 * each, r=each, v_leak=0 * each, v_threshold=0.1 * each, v_reset=0 * each),
        "output": nir.Output({"output": np.array([4])}),
    }
    return nir.NIRGraph(nodes, list(pairwise(nodes)))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, and a store of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIR_INTEROP_STORE", raising=False)


@pytest.fixture(scope="module")
def x() -> Any:
    """50 steps, 3 samples, 8 inputs."""
    return (np.random.default_rng(1).random((50, 3, 8)) < 0.3).astype(np.float32)


def test_the_reference_takes_the_steps_that_nir_means(x: Any) -> None:
    made = graph()
    fc, lif = made.nodes["fc"], made.nodes["lif"]
    values = {name: getattr(lif, name).astype(np.float64) for name in ("tau", "r", "v_leak", "v_threshold", "v_reset")}
    v, meant = np.zeros((3, 4)), []
    for current in x.astype(np.float64) @ fc.weight.T.astype(np.float64) + fc.bias:
        spikes, v = lif_step(v, current, **values, dt=DT)
        meant.append(spikes)
    found = assert_type(ni.simulate(made, x, dt=DT), ni.Recording).output
    assert 20 < found.sum() < found.size and np.array_equal(found, np.stack(meant))


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_installed_library_runs_a_graph(backend: str, x: Any) -> None:
    cell = assert_type(ni.check(graph(), input=x, dt=DT, backends=[backend], jobs=1)[backend], Checked)
    assert cell.recording is not None, f"{backend}: {cell.status}: {cell.error}"
    assert cell.recording.output.shape == (50, 3, 4)


def test_the_reference_in_a_process_of_its_own_agrees_with_the_one_here(x: Any) -> None:
    checked = ni.check(graph(), input=x, dt=DT, backends=["reference"], jobs=1)
    assert checked.agrees and np.array_equal(checked.meant.output, ni.simulate(graph(), x, dt=DT).output)


def test_libraries_are_given_safe_names(tmp_path: Path, x: Any) -> None:
    evil = graph(fc="__import__('pathlib').Path('ran').touch()", lif="training")
    checked = ni.check(evil, input=x, dt=DT, backends=BACKENDS, jobs=1)
    assert set(checked.renamed) == {name for name in evil.nodes if name not in ("input", "output")}
    assert not any(path.name == "ran" for path in tmp_path.rglob("*"))
    for each in checked.values():
        assert each.recording is None or not set(each.recording.spikes) & set(checked.renamed.values())


def test_what_comes_with_the_package_is_there() -> None:
    from importlib.resources import files

    package = files("nir_interop")
    for folder, suffix in (("matrix", ".toml"), ("networks/trained", ".npz"), ("report/page/templates", ".j2")):
        assert any(each.name.endswith(suffix) for each in package.joinpath(folder).iterdir()), folder
    assert package.joinpath("py.typed").is_file()


def test_importing_the_package_imports_no_library() -> None:
    code = "import sys, nir_interop; print({'torch', 'numpy', 'nir'} & set(sys.modules) or 'none')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "none", done.stderr
