"""The wheel, in an empty folder, where no checkout is: every verb, the self-test, and folders that are in the way."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.docs.test_blocks import BLOCKS, write_graph
from tests.places import ROOT, SOURCES

Completed = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, by pip, without a network."""
    copy = tmp_path_factory.mktemp("sources")
    for folder in SOURCES:
        shutil.copytree(folder, copy / folder.name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    pip("wheel", str(copy), "--no-deps", "--no-build-isolation", "--no-index", "-w", str(copy / "dist"))
    (path,) = (copy / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel is installed into."""
    folder = tmp_path_factory.mktemp("site")
    pip("install", "--no-deps", "--no-index", "--target", str(folder), str(wheel))
    return folder


def pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=without_sources(), timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def without_sources() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COVERAGE_PROCESS_START")}


def call(site: Path, folder: Path, *words: str) -> Completed:
    """The console script of the wheel, in a folder."""
    return python(site, folder, str(site / "bin" / "nir-interop"), *words)


def python(site: Path, folder: Path, *words: str) -> Completed:
    """An interpreter in a folder, with the wheel alone on its path beside what is installed."""
    environment = without_sources() | {"PYTHONPATH": str(site)}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=folder, env=environment, timeout=1800)


def right(done: Completed, *statuses: int) -> str:
    assert done.returncode in (statuses or (0,)), done.stdout + done.stderr
    return done.stdout


def test_all_that_is_no_python_is_in_the_wheel(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    for folder in SOURCES:
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        files = {name for name in files if "__pycache__" not in name and ".egg-info/" not in name}
        assert files <= inside
    tops = {name.partition("/")[0] for name in inside}
    assert tops == {"nir_interop", "nir_interop_adapters", "nir_interop_studies"}


def test_verbs_find_all_they_need(site: Path, tmp_path: Path) -> None:
    write_graph(tmp_path / "g.nir", 8, 4)
    assert right(call(site, tmp_path, "--version")).split() == ["nir-interop", "0.1.0"]
    backends = json.loads(right(call(site, tmp_path, "backends", "--json")))["backends"]
    assert {"norse", "reference", "snntorch", "spikingjelly"} <= {each["name"] for each in backends}
    checked = json.loads(right(call(site, tmp_path, "check", "g.nir", "--json"), 1))
    assert {cell["importer"]: cell["status"] for cell in checked["cells"]}["norse"] == "mismatch"
    assert "resistance_ignored" in right(call(site, tmp_path, "explain", "g.nir", "--backend", "norse"), 1)
    right(call(site, tmp_path, "reconcile", "g.nir", "--to", "norse", "-o", "out.nir"))
    assert (tmp_path / "out.nir").is_file()
    right(call(site, tmp_path, "primitives", "--write", "vectors"))


def test_sources_beside_it_are_not_what_runs(site: Path, tmp_path: Path) -> None:
    code = "import nir_interop, nir_interop_adapters.norse as one; print(nir_interop.__file__, one.__file__)"
    environment = without_sources() | {"PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60
    )
    assert all(path.startswith(str(site)) for path in right(done).split())


def test_folders_and_modules_of_the_users_are_not_in_the_way(site: Path, tmp_path: Path) -> None:
    write_graph(tmp_path / "g.nir", 8, 4)
    broken = "raise RuntimeError('the module of the user was imported')\n"
    for name in ("harness", "adapters", "experiments", "nir_interop_adapters"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(broken)
    for name in ("nir_interop.py", "numpy.py", "torch.py"):
        (tmp_path / name).write_text(broken)
    assert "reference" in right(call(site, tmp_path, "backends"))
    document = json.loads(right(call(site, tmp_path, "check", "g.nir", "--backend", "snntorch", "--json")))
    assert document["cells"][0]["status"] == "exact"
    assert not any((site / name).exists() for name in ("harness", "adapters", "experiments"))


def test_a_package_called_adapters_is_untouched(wheel: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "adapters" / "__init__.py"
    theirs.parent.mkdir()
    theirs.write_text("THEIRS = True\n")
    pip("install", "--no-deps", "--no-index", "--target", str(tmp_path), str(wheel))
    assert theirs.read_text() == "THEIRS = True\n"
    record = next(tmp_path.glob("nir_interop-*.dist-info")) / "RECORD"
    assert not any(line.startswith(("adapters/", "harness/", "experiments/")) for line in record.read_text().splitlines())


def test_an_adapter_is_a_distribution_of_its_own(site: Path, tmp_path: Path) -> None:
    """The one of the page, with the project file of the page."""
    code = "\n".join(block.code for block in BLOCKS if block.page == "docs/adapters.md" and "class " in block.code)
    page = (ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")
    (project,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    library = '[project]\nname = "mylib"\nversion = "1.0"\n[tool.setuptools]\npy-modules = []\n'
    for name, about in (("mylib", library), ("nir_interop_mylib", project)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(about)
        (tmp_path / name / "nir_interop_mylib.py").write_text(code)
        where = ("--no-deps", "--no-index", "--no-build-isolation", "--target", str(tmp_path / "site"))
        pip("install", *where, str(tmp_path / name))
    write_graph(tmp_path / "g.nir", 8, 4)
    path = os.pathsep.join(map(str, (site, tmp_path / "site")))
    command = [sys.executable, str(site / "bin" / "nir-interop"), "check", "g.nir", "--backend", "mylib", "--json"]
    environment = without_sources() | {"PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=1800)
    (cell,) = json.loads(right(done))["cells"]
    assert (cell["importer"], cell["status"], cell["mismatched"]) == ("mylib", "exact", 0)


def test_the_self_test_passes(site: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--pyargs",
        "nir_interop.selftest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "error",
    ]
    environment = without_sources() | {"PYTHONPATH": str(site)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=1800)
    assert " passed" in right(done) and "failed" not in done.stdout and "skipped" not in done.stdout


@pytest.mark.slow
def test_verbs_that_take_long_write_where_they_are_called(site: Path, tmp_path: Path) -> None:
    part = ("--network", "mlp_if", "--exporter", "snntorch", "--importer", "norse")
    right(call(site, tmp_path, "matrix", *part))
    assert {"report.csv", "report.html", "report.md", "environment.json"} <= {
        path.name for path in (tmp_path / "results").iterdir()
    }
    right(call(site, tmp_path, "report"))
    right(call(site, tmp_path, "diff", "results", "results"))
    cell = (tmp_path / "results" / "report.csv").read_text().splitlines()[1].partition(",")[0]
    right(call(site, tmp_path, "repro", cell))
    assert (tmp_path / "repro" / cell / "repro.py").is_file()
    right(call(site, tmp_path, "rules", "norse"))
    right(call(site, tmp_path, "primitives", "norse"))
    right(call(site, tmp_path, "sweep", "--backend", "norse", "--dt", "1e-3"))
    assert (tmp_path / "results" / "dt_sweep.csv").is_file()
    for name in ("csnn_mnist", "spikingjelly_exchange"):
        right(call(site, tmp_path, "experiment", name, "--quick"))
        assert (tmp_path / "results" / f"{name}-quick" / "README.md").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["repro", "results"]
