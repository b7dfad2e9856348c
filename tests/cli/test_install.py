"""Another version of a library beside the installed one: made with pip from local files alone, and run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nir
import pytest

from nir_interop.matrix.plan import CellJob, SourceJob, parse_cell_id
from nir_interop.networks import catalogue
from nir_interop.report.diff import read_run
from tests.cli.fake_packages import backends_in, wheel
from tests.cli.test_cli import run
from tests.matrix import fakes
from tests.places import PYTHONPATH

ADAPTER = '''
import importlib

from fake_adapters.fakes import Honest


class FakeLib(Honest):
    """Right from version 2 on."""

    needs = ("fakelib", "nir")
    script = """
import fakelib

output = expected if fakelib.RIGHT else 1 - expected
"""

    def prepare(self):
        self.library = importlib.import_module("fakelib")

    def run(self, model, stimulus):
        right = super().run(model, stimulus)
        if self.library.RIGHT:
            return right
        return type(right)({"output": 1 - right.outputs["output"]}, right.spikes)
'''
ALONE = '''
from nir_interop.backends.adapter import Adapter, read_graph
from nir_interop.recording import Recording


class Alone(Adapter):
    """An adapter in a module that lies alone."""

    name = "odd_name"
    idioms = {}

    def prepare(self):
        import odd_name

    def build(self, network, dt, idiom):
        raise NotImplementedError

    def load(self, path, dt):
        return read_graph(path)

    def run(self, model, stimulus):
        return Recording({"output": stimulus[:, :, :1] * 0})

    def nodes(self, model):
        return frozenset(model.nodes) - {"input", "output"}
'''
CHECKOUT = """
import sys
sys.path[:0] = [{tests!r}]


def build_wheel(folder, config_settings=None, metadata_directory=None):
    from pathlib import Path
    from fake_packages import wheel
    return wheel(Path(folder), {version!r}, Path("fakelib.py").read_text()).name
"""


Runner = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def nir_interop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """``nir-interop`` in a folder of its own, where a backend ``fakelib`` is known; its versions 1.0 and 2.0 lie in links/."""
    site = tmp_path / "site"
    extras = 'Provides-Extra: fakelib\nRequires-Dist: fakelib<2; extra == "fakelib"\n'
    extras += 'Provides-Extra: odd-name\nRequires-Dist: odd.name==1.0; extra == "odd-name"\n'
    adapters = {"fakelib": "fake_adapters.fakelib:FakeLib [fakelib]", "odd_name": "alone:Alone [odd_name]"}
    package = backends_in(site, adapters | {"nothing": "alone:Alone [nothing]"}, extras)
    (package / "fakelib.py").write_text(ADAPTER)
    (site / "alone.py").write_text(ALONE)
    wheel(tmp_path / "links", "1.0", "", name="odd_name")
    for version, right in (("1.0", False), ("2.0", True)):
        wheel(tmp_path / "links", version, f"RIGHT = {right}\n")
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{PYTHONPATH}")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_CONSTRAINT", "PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: run(*arguments, cwd=tmp_path)


def install(nir_interop: Runner, what: str, *more: str) -> subprocess.CompletedProcess[str]:
    return nir_interop("backends", "install", what, "--no-index", "--find-links", "links", *more)


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What a command complains of; what it said meanwhile, for a busy machine is slow, aside."""
    return [line for line in done.stderr.splitlines() if line.startswith("nir-interop: ")]


def listed(nir_interop: Runner) -> dict[str, str]:
    """Backend → version of fakelib in it, of those that have one."""
    found = json.loads(nir_interop("backends", "--json").stdout)["backends"]
    return {each["name"]: each["versions"]["fakelib"] for each in found if "fakelib" in each["versions"]}


@pytest.mark.slow
def test_two_versions_are_two_backends_and_the_rest_comes_from_here(nir_interop: Runner, tmp_path: Path) -> None:
    done = install(nir_interop, "fakelib==1.0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"fakelib==1.0: fakelib 1.0 in {Path('.envs/fakelib==1.0')}"
    document = json.loads(install(nir_interop, "fakelib==2.0", "--json").stdout)
    assert document["name"] == "fakelib==2.0"
    assert document["versions"]["fakelib"] == "2.0"
    assert {"nir", "numpy"} <= set(document["versions"])
    assert listed(nir_interop) == {"fakelib==1.0": "1.0", "fakelib==2.0": "2.0"}
    assert sorted(path.name for path in (tmp_path / ".envs").iterdir()) == ["fakelib==1.0", "fakelib==2.0"]


@pytest.mark.slow
def test_a_wheel_a_checkout_and_a_label_are_backends_of_their_own(nir_interop: Runner, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "fakelib.py").write_text("RIGHT = True\n")
    (checkout / "build.py").write_text(CHECKOUT.format(tests=str(Path(__file__).parent), version="2.0"))
    (checkout / "pyproject.toml").write_text(
        '[project]\nname = "fakelib"\nversion = "2.0"\n'
        '[build-system]\nrequires = []\nbuild-backend = "build"\nbackend-path = ["."]\n'
    )
    for what, more in (("links/fakelib-2.0-py3-none-any.whl", ()), ("./checkout", ()), ("fakelib==1.0", ("--label", "old"))):
        done = install(nir_interop, what, *more)
        assert done.returncode == 0, done.stderr
    found = listed(nir_interop)
    assert list(found) == ["fakelib==2.0", "fakelib==2.0+local", "fakelib==old"]
    assert found["fakelib==old"] == "1.0"
    assert found["fakelib==2.0+local"].startswith("2.0+d")

    (checkout / "fakelib.py").write_text("RIGHT = False\n")
    assert install(nir_interop, "./checkout").returncode == 0
    assert listed(nir_interop)["fakelib==2.0+local"] not in (found["fakelib==2.0+local"], "2.0")


def test_what_a_library_says_it_does_not_go_with_can_be_put_beside_it(nir_interop: Runner, tmp_path: Path) -> None:
    wheel(tmp_path / "links", "0.5", "", name="odd_name")
    wheel(tmp_path / "links", "1.5", "RIGHT = True\n", requires="odd_name<1")
    done = install(nir_interop, "fakelib==1.5", "--with", "odd_name==1.0", "--label", "newer")
    assert done.returncode == 0, done.stderr
    home = tmp_path / ".envs" / "fakelib==newer"
    assert {each.name for each in home.glob("lib*/python*/site-packages/odd_name-*")} == {"odd_name-1.0.dist-info"}
    assert listed(nir_interop) == {"fakelib==newer": "1.5"}

    none = install(nir_interop, "fakelib==1.5", "--with", "odd_name==7", "--label", "none")
    assert none.returncode != 0
    assert "odd_name==7" in complaints(none)[-1]
    assert list(listed(nir_interop)) == ["fakelib==newer"]
    both = nir_interop("backends", "install", "--all", "--with", "odd_name==1.0")
    assert (both.returncode, "without --label and --with" in both.stderr) == (2, True)


def test_a_version_that_does_not_start_is_said_to_be_so_and_leaves_nothing(nir_interop: Runner, tmp_path: Path) -> None:
    wheel(tmp_path / "links", "3.0", "raise ImportError('made for another torch')\n")
    done = install(nir_interop, "fakelib==3.0")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = complaints(done)
    assert line.startswith("nir-interop: fakelib==3.0: ImportError: made for another torch")
    assert line.endswith("; it does not start and is not kept: install another version")
    assert listed(nir_interop) == {}
    assert list((tmp_path / ".envs").iterdir()) == []


def test_one_that_was_there_stays_where_its_successor_does_not_start(nir_interop: Runner, tmp_path: Path) -> None:
    assert install(nir_interop, "fakelib==1.0", "--label", "mine").returncode == 0
    wheel(tmp_path / "links", "3.0", "raise ImportError('made for another torch')\n")
    assert install(nir_interop, "fakelib==3.0", "--label", "mine").returncode == 2
    assert listed(nir_interop) == {"fakelib==mine": "1.0"}
    assert [path.name for path in (tmp_path / ".envs").iterdir()] == ["fakelib==mine"]


@pytest.mark.slow
def test_a_name_alone_is_what_its_extra_asks_for_and_lives_under_that_name(nir_interop: Runner, tmp_path: Path) -> None:
    assert "fakelib       not installed: nir-interop backends install fakelib" in nir_interop("backends").stdout
    done = install(nir_interop, "fakelib")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"fakelib: fakelib 1.0 in {Path('.envs/fakelib')}"
    assert done.stdout.splitlines()[1] == "now a backend: nir-interop matrix --importer fakelib"
    assert listed(nir_interop) == {"fakelib": "1.0"}
    assert [path.name for path in (tmp_path / ".envs").iterdir()] == ["fakelib"]
    assert install(nir_interop, "fakelib==2.0").returncode == 0
    assert listed(nir_interop) == {"fakelib": "1.0", "fakelib==2.0": "2.0"}


def test_the_name_alone_of_what_is_installed_says_what_could_be_put_beside_it(nir_interop: Runner, tmp_path: Path) -> None:
    done = install(nir_interop, "norse")
    assert done.returncode == 2
    assert "norse 1.1.0 is installed already; norse==VERSION" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / ".envs").exists() or not list((tmp_path / ".envs").iterdir())


@pytest.mark.slow
def test_what_cannot_be_installed_is_one_line_and_leaves_nothing(nir_interop: Runner, tmp_path: Path) -> None:
    wheel(tmp_path / "links", "3.0", "", requires="nowhere-to-be-found")
    wheel(tmp_path / "links", "1.0", "", name="brian")
    (tmp_path / "nameless").mkdir()
    assert install(nir_interop, "fakelib==1.0").returncode == 0
    for what, said in {
        "brian==1.0": "no backend 'brian'",
        "brian": "needs an adapter first: nir-interop backends new brian",
        "./links/brian-1.0-py3-none-any.whl": "no backend 'brian'",
        "reference": "no backend 'reference'",
        "fakelib==9": "fakelib==9: pip finds no fakelib==9; there are 1.0, 2.0, 3.0",
        "fakelib==3.0": "pip finds no nowhere-to-be-found",
        "./nowhere": "no such file or folder",
        "./nameless": "does not say which distribution it is",
        "???": "is no requirement",
    }.items():
        done = install(nir_interop, what)
        assert done.returncode == 2, (what, done.stdout)
        assert done.stdout == ""
        assert len(complaints(done)) == 1, done.stderr
        assert said in done.stderr
    done = install(nir_interop, "fakelib==2.0", "--label", "../elsewhere")
    assert done.returncode == 2
    assert "--label" in done.stderr
    assert [path.name for path in (tmp_path / ".envs").iterdir()] == ["fakelib==1.0"]


@pytest.mark.slow
def test_two_versions_run_as_two_columns_and_a_diff_says_which_is_right(nir_interop: Runner, tmp_path: Path) -> None:
    def statuses(results: str) -> dict[str, str]:
        done = nir_interop(
            "matrix", "--network", "lif_single", "--exporter", "fakelib==2.0", "--importer", "fakelib==2.0",
            "--importer", "fakelib==tried", "--dt", "1e-4", "--no-explain", "--results", results, "--json",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        report = read_run(tmp_path / results)
        return {
            f"{row['importer']} {row['importer_version']}": row["status"] for row in report.rows if row["idiom"] == "portable"
        }

    assert install(nir_interop, "fakelib==2.0").returncode == 0
    assert install(nir_interop, "fakelib==1.0", "--label", "tried").returncode == 0
    assert statuses("before") == {"fakelib==2.0 2.0": "exact", "fakelib==tried 1.0": "mismatch"}
    assert install(nir_interop, "fakelib==2.0", "--label", "tried").returncode == 0
    assert statuses("after") == {"fakelib==2.0 2.0": "exact", "fakelib==tried 2.0": "exact"}

    beside = nir_interop("diff", "after", "before", "--backend", "fakelib==tried")
    assert beside.returncode == 0, beside.stderr  # its library took no part without a label: all its cells are new
    better = nir_interop("diff", "before", "after", "--json")
    assert better.returncode == 0, better.stderr
    document = json.loads(better.stdout)
    assert document["versions"]["fakelib==tried"] == ["1.0", "2.0"]
    assert {each["new"]["status"] for each in document["cells"]["better"]} == {"exact"}
    assert nir_interop("diff", "after", "before").returncode == 1


@pytest.mark.slow
def test_an_environment_that_is_asked_for_again_is_replaced_by_a_complete_one(nir_interop: Runner, tmp_path: Path) -> None:
    assert install(nir_interop, "fakelib==1.0").returncode == 0
    mark = tmp_path / ".envs" / "fakelib==1.0" / "mark"
    mark.touch()
    (tmp_path / "links" / "fakelib-1.0-py3-none-any.whl").write_bytes(b"broken")
    assert install(nir_interop, "fakelib==1.0").returncode == 2
    assert mark.exists()
    wheel(tmp_path / "links", "1.0", "RIGHT = True\n")
    assert install(nir_interop, "fakelib==1.0").returncode == 0
    assert not mark.exists()


@pytest.mark.slow
def test_an_interpreter_of_its_own_sees_its_own_version_first(nir_interop: Runner, tmp_path: Path) -> None:
    assert install(nir_interop, "fakelib==1.0").returncode == 0
    python = tmp_path / ".envs" / "fakelib==1.0" / "bin" / "python"
    text = "import fakelib, numpy, sys; print(fakelib.__file__, numpy.__file__, sys.prefix, sep='\\n')"
    lines = subprocess.run([python, "-c", text], capture_output=True, text=True, check=True, env={}).stdout.splitlines()
    assert Path(lines[0]).is_relative_to(tmp_path)
    assert not Path(lines[1]).is_relative_to(tmp_path)
    assert Path(lines[2]) == tmp_path / ".envs" / "fakelib==1.0"
    assert Path(sys.prefix) != Path(lines[2])


@pytest.mark.slow
def test_a_cell_of_a_library_in_an_environment_of_its_own_is_reproduced_there(nir_interop: Runner, tmp_path: Path) -> None:
    assert install(nir_interop, "fakelib==1.0").returncode == 0
    arguments = ("--network", "lif_single", "--exporter", "reference", "--importer", "fakelib==1.0", "--dt", "1e-4")
    assert nir_interop("matrix", *arguments, "--no-explain", "--results", "results", "-q").returncode == 0
    cell = next(row["cell_id"] for row in read_run(tmp_path / "results").rows if row["idiom"] == "portable")
    done = nir_interop("repro", cell, "-o", "folder")
    assert done.returncode == 0, done.stderr
    assert "Needs fakelib and nir;" in (tmp_path / "folder" / "repro.py").read_text()
    python = tmp_path / ".envs" / "fakelib==1.0" / "bin" / "python"
    assert done.stdout.splitlines()[-1] == f"run: cd folder && {python} repro.py"
    ran = subprocess.run([python, "repro.py"], cwd=tmp_path / "folder", capture_output=True, text=True, check=True)
    assert "outputs differ" in ran.stdout and not ran.stdout.startswith("0 of")


@pytest.mark.slow
def test_names_match_as_package_names_do_and_an_adapter_may_be_one_module(nir_interop: Runner, tmp_path: Path) -> None:
    assert "odd_name      not installed: nir-interop backends install odd_name" in nir_interop("backends").stdout
    done = install(nir_interop, "odd-name")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("odd_name: odd_name 1.0 in ")
    nir.write(tmp_path / "graph.nir", catalogue("lif_single").build(0).to_nir())
    document = json.loads(nir_interop("check", "graph.nir", "--backend", "odd_name", "--json").stdout)
    assert [each["status"] for each in document["cells"]] == ["mismatch"]


def test_all_that_is_not_installed_is_installed_and_what_fails_stops_no_other(nir_interop: Runner, tmp_path: Path) -> None:
    done = nir_interop("backends", "install", "--all", "--no-index", "--find-links", "links", "--json")
    assert done.returncode == 3, done.stderr
    document = json.loads(done.stdout)
    assert [each["name"] for each in document["installed"]] == ["fakelib", "odd_name"]
    assert {"sinabs", "lava-nc"} <= set(document["failed"])
    assert sorted(path.name for path in (tmp_path / ".envs").iterdir()) == ["fakelib", "odd_name"]
    for wrong in ((), ("fakelib", "--all")):
        refused = nir_interop("backends", "install", *wrong)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)


def test_a_name_alone_is_installed_as_its_lock_says(nir_interop: Runner, tmp_path: Path) -> None:
    wheel(tmp_path / "links", "1.5", "RIGHT = True\n")
    lock = tmp_path / "site" / "fake_adapters" / "locks" / "fakelib.txt"
    assert install(nir_interop, "fakelib").returncode == 0
    assert listed(nir_interop) == {"fakelib": "1.5"}
    written = nir_interop("backends", "lock", "fakelib")
    assert written.returncode == 0, written.stderr
    assert [line for line in lock.read_text().splitlines() if not line.startswith("#")] == ["fakelib==1.5"]
    lock.write_text("fakelib==1.0\n")
    assert install(nir_interop, "fakelib").returncode == 0
    assert listed(nir_interop) == {"fakelib": "1.0"}
    assert install(nir_interop, "fakelib", "--unlocked").returncode == 0
    assert listed(nir_interop) == {"fakelib": "1.5"}
    assert "has no environment of its own" in nir_interop("backends", "lock", "norse").stderr


def test_a_package_that_asks_for_nothing_under_the_extra_that_it_names_is_not_installed(nir_interop: Runner) -> None:
    for verb in (("rules", "nothing"), ("primitives", "nothing"), ("sweep", "--backend", "nothing"),
                 ("matrix", "--importer", "nothing"), ("matrix", "--exporter", "nothing")):  # fmt: skip
        done = nir_interop(*verb)
        assert (done.returncode, done.stdout) == (2, ""), verb
        assert len(done.stderr.splitlines()) == 1
        assert "nothing: its adapter names the extra nothing, for which its package asks for nothing" in done.stderr


@pytest.mark.parametrize(
    "verb", [("rules",), ("primitives",), ("sweep", "--backend"), ("matrix", "--importer"), ("explain", "g.nir", "--backend")]
)
def test_what_is_not_installed_is_said_to_be_so_where_it_is_named(nir_interop: Runner, verb: tuple[str, ...]) -> None:
    done = nir_interop(*verb, "fakelib")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line == "nir-interop: fakelib: fakelib not installed; run nir-interop backends install fakelib"


def test_the_name_of_a_cell_may_hold_a_version() -> None:
    new, old = fakes.backend(fakes.Honest, "honest==2.0rc1+local"), fakes.backend(fakes.Honest, "honest==1.0")
    job = CellJob(SourceJob("mlp_if", "portable", new.name, 1e-4), old.name, 1e-3)
    for each in (job, CellJob(job.source)):
        plan, found = parse_cell_id(each.cell_id, [new, old])
        assert found == each
        assert plan.exporters == (new.name,)
