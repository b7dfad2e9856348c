"""What keeps the contract of adapters has no fault, and every way to break it has a line of its own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from nir_interop.conformance.contract import check_backend, graphs
from nir_interop.graphs import validate
from tests.cli.fake_packages import backends_in, wheel
from tests.cli.test_cli import run
from tests.places import PYTHONPATH

GOOD = '''
import re

import numpy as np

from nir_interop.backends.adapter import Adapter, read_graph
from nir_interop.backends.watching import Steps, nodes_of
from nir_interop.errors import CannotBuild
from nir_interop.vocabulary import Idiom


class Good(Adapter):
    """Takes weights alone."""

    name = "fakelib"
    idioms = {}
    needs = ("fakelib",)
    script = "output = stimulus"

    def load(self, path, dt):
        graph = read_graph(path)
        nodes = nodes_of(graph)
        if [type(node).__name__ for node in nodes.values()] != ["Linear"]:
            raise ValueError("knows one Linear")
        return nodes

    def run(self, model, stimulus):
        steps = Steps()
        for frame in stimulus:
            (node,) = model.values()
            steps.output(frame @ node.weight.T)
        return steps.recording()

    def nodes(self, model):
        return frozenset(model)

    def build(self, network, dt, idiom):
        raise CannotBuild("fakelib only imports")
'''
BREAKS = {
    "name: the adapter calls itself 'other', and its entry point 'fakelib'": ('name = "fakelib"', 'name = "other"'),
    "needs: is empty": ('needs = ("fakelib",)', "needs = ()"),
    "script: is empty": ('script = "output = stimulus"', 'script = ""'),
    "script: line 1": ('script = "output = stimulus"', 'script = "output = ("'),
    "refusals: '(' is no regular expression": ("idioms = {}", "idioms = {}\n    refusals = ('(',)"),
    "idioms: portable: say what it does": ("idioms = {}", "idioms = {Idiom.PORTABLE: ''}"),
    "build and run, portable: ": (
        'raise CannotBuild("fakelib only imports")\n',
        'raise RuntimeError("?")\n\n    idioms = {Idiom.PORTABLE: "as documented"}\n',
    ),
    "start: fakelib: OSError: no licence": (
        "    def load",
        "    def prepare(self):\n        raise OSError('no licence')\n\n    def load",
    ),
    "load and run: none of": ('!= ["Linear"]', '!= ["Flatten"]'),
    "run of Linear: output has the shape": (
        "return steps.recording()",
        "return type(steps.recording())({'output': np.zeros((20, 3))})",
    ),
    "run of Linear: the outputs are y": ("frame @ node.weight.T)", "frame @ node.weight.T, 'y')"),
    "run of Linear: spikes of 'lif', which is no node": ("(node,) =", "steps.spikes('lif', frame)\n            (node,) ="),
    "run of Linear: membranes of linear1 have the shape": (
        "return steps.recording()",
        "return type(steps.recording())(steps.recording().outputs, {}, {'linear1': np.zeros((20, 5, 3))})",
    ),
    "run of Linear: is not the same after another input": (
        "steps.output(frame @ node.weight.T)",
        "self.kept = getattr(self, 'kept', 0) + frame.sum()\n            steps.output(frame @ node.weight.T + self.kept)",
    ),
    "run of Linear: is not the same in a new process": (
        "steps.output(frame @ node.weight.T)",
        "import os\n            steps.output(frame @ node.weight.T + os.getpid())",
    ),
}  # fmt: skip
"""How a fault's line begins → what of GOOD is written otherwise."""


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of an adapter whose library is installed."""
    site = tmp_path / "site"
    extras = 'Provides-Extra: fakelib\nRequires-Dist: fakelib; extra == "fakelib"\n'
    package = backends_in(site, {"fakelib": "fake_adapters.good:Good [fakelib]"}, extras)
    made = wheel(tmp_path / "links", "1.0", "")
    import zipfile

    with zipfile.ZipFile(made) as archive:
        archive.extractall(site)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{PYTHONPATH}")
    for name in [each for each in sys.modules if each.partition(".")[0] == "fake_adapters"]:
        monkeypatch.delitem(sys.modules, name)
    (package / "good.py").write_text(GOOD)
    return package / "good.py"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A backend whose entry point names no extra."""
    site = tmp_path / "site"
    backends_in(site, {"Bare_One": "fake_adapters.fakes:Importing"})
    monkeypatch.syspath_prepend(str(site))


def test_the_graphs_that_are_tried_mean_something() -> None:
    for graph in graphs().values():
        validate(graph)


def test_what_keeps_the_contract_has_no_fault_and_says_what_it_takes(adapter: Path) -> None:
    found = check_backend("fakelib")
    assert found.faults == ()
    assert any(note.startswith("takes Linear in ") for note in found.notes)
    assert any(note == "does not take LIF: import_error: ValueError: knows one Linear" for note in found.notes)


QUICK = ("needs: is empty", "load and run: none of", "run of Linear: is not the same after another input")


@pytest.mark.parametrize("begins", [pytest.param(each, marks=[pytest.mark.slow] * (each not in QUICK)) for each in BREAKS])
def test_a_breach_is_a_line(adapter: Path, begins: str) -> None:
    before, after = BREAKS[begins]
    assert before in GOOD
    adapter.write_text(GOOD.replace(before, after))
    faults = check_backend("fakelib").faults
    assert any(fault.startswith(begins) for fault in faults), faults
    assert all("\n" not in fault for fault in faults)


def test_an_entry_point_that_names_no_extra_or_is_not_called_as_packages_are_is_told(bare: None) -> None:
    faults = check_backend("Bare_One").faults
    assert faults[0].startswith("entry point: names no extra; write Bare_One = ")
    assert faults[1].startswith("names: the entry point 'Bare_One' is not a canonical package name; call it bare-one")


def test_the_verb_ends_with_1_where_there_is_a_fault(adapter: Path, tmp_path: Path) -> None:
    done = run("backends", "check", "fakelib", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "fakelib: keeps the contract"), done.stdout
    adapter.write_text(GOOD.replace('needs = ("fakelib",)', "needs = ()"))
    failed = run("backends", "check", "fakelib", "--json", cwd=tmp_path)
    assert failed.returncode == 1
    assert [each.partition(":")[0] for each in json.loads(failed.stdout)["faults"]] == ["needs"]
    unknown = run("backends", "check", "nobody", cwd=tmp_path)
    assert (unknown.returncode, len(unknown.stderr.splitlines())) == (2, 1)
