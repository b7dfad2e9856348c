"""Every block of README and docs/ that a reader may run, run; and every output that is shown, compared.

Commands run as written, page after page, in a folder that is laid out as a checkout, with ``my_graph.nir``, ``my_module.py``
and ``x.npz`` in it.  A command that an earlier page has is not run again: it stands there in the same words, and answers the
same.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest

from nir_interop.reference import Simulator, read
from tests.docs.blocks import ANYTHING, Block, blocks_of, first_difference, options_of
from tests.places import PYTHONPATH, ROOT

Completed = subprocess.CompletedProcess[str]
PAGES = (Path("README.md"), *sorted(path.relative_to(ROOT) for path in (ROOT / "docs").glob("*.md")))
BLOCKS = [block for page in PAGES for block in blocks_of(ROOT / page, page.as_posix())]
LAYOUT = ("Makefile", "README.md", "pyproject.toml", "constraints.txt", "results", "tests")
MY_MODULE = "my_module.py"
"""The file that a page shows in a block that begins with this name."""
OF_LIBRARIES = ("`torch.jit.script` is deprecated", "nirtorch.")
"""How the warnings begin that libraries give when Norse is imported, and at exports and imports; a page may have no others."""
DIFFERS = ("check", "explain")
"""Verbs that end with 1 to say that something differs; of any other verb, 1 is a failure."""

UNKNOWN = ("COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "PYTHONPATH")
"""What a reader's shell does not have set, and output would depend on."""

COVERED: Mapping[str, str] = {
    r"make (matrix|test|docs|lint|bench)\b.*": "make -n {1}",  # what it would run; the tests themselves cover the rest
    r"pytest -k roundtrip": "python -m pytest tests/roundtrip -k roundtrip --collect-only -q -p no:cacheprovider",
    r"pip install -e nir-interop-mylib": "pip --version",  # tests/docs/test_adapters_page.py installs it
    r"(nir-interop backends check) mylib": "{1}",  # so does that, and
    r"(nir-interop rules) mylib": "{1}",
    r"(nir-interop backends install) .*": "{1}",  # tests/cli/test_install.py installs a library from files
    r"nir-interop matrix --train .*": "nir-interop matrix",  # tests/matrix/test_weights.py trains, and writes weights
    r"nir-interop matrix .*==main.*": "nir-interop matrix",  # tests/cli/test_install.py runs one of two versions
    r"nir-interop diff .*==main.*": "nir-interop diff",  # tests/cli/test_diff.py and test_install.py
    r"nir-interop sweep": "nir-interop sweep",  # tests/conformance/test_sweep.py runs it with one step
    r"nir-interop experiment (\w+).*": "nir-interop experiment",  # tests/experiments runs each, --quick
}
"""Commands that are not run as they are, for how long they take or what they install → what is run in their place: a command
that only looks, or a verb, which then has to know every option that the command has.  Whatever is not here is run."""


def lay_out(folder: Path) -> Path:
    """A folder as a reader's checkout, with a graph, an input and an older table of theirs."""
    for name in LAYOUT:
        if name == "tests":
            folder.joinpath(name).symlink_to(ROOT / name)
        elif (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        else:
            shutil.copy(ROOT / name, folder)
    shutil.copytree(folder / "results", folder / "candidate")
    write_graph(folder / "my_graph.nir", 8, 4)
    (shown,) = (block.code for block in BLOCKS if block.code.startswith(f"# {MY_MODULE}\n"))
    (folder / MY_MODULE).write_text(shown, encoding="utf-8")
    spikes = (np.random.default_rng(0).random((100, 4, 8)) < 0.3).astype(np.float32)
    output = Simulator(read(folder / "my_graph.nir"), 1e-4).run(spikes)[0].output
    np.savez(folder / "x.npz", input=spikes, output=output)
    return folder


def write_graph(path: Path, *sizes: int) -> None:
    """Layers as snnTorch writes them: r = tau/dt, so that input is added as it is."""
    random = np.random.default_rng(0)
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input({"input": np.array([sizes[0]])})}
    for number, (before, after) in enumerate(pairwise(sizes), start=1):
        weights, each = random.normal(0.1, 0.3, (after, before)).astype(np.float32), np.ones(after, np.float32)
        nodes[f"fc{number}"] = nir.Affine(weights, 0 * each)
        nodes[f"lif{number}"] = nir.LIF(tau=2.5e-3 * each, r=25 * each, v_leak=0 * each, v_threshold=each, v_reset=0 * each)
    nodes["output"] = nir.Output({"output": np.array([sizes[-1]])})
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(nodes))))


@dataclass
class Reader:
    """Somebody who runs what the pages say, in one folder, one after the other."""

    folder: Path
    ran: dict[str, Completed] = field(default_factory=dict)
    printed: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self, command: str) -> Completed:
        """Run a command as a shell does where it is no terminal; what was run already answers as it did."""
        if command not in self.ran:
            self.ran[command] = shell(command, self.folder)
        return self.ran[command]


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(lay_out(tmp_path_factory.mktemp("checkout")))


def shell(command: str, folder: Path) -> Completed:
    known = {name: value for name, value in os.environ.items() if name not in UNKNOWN}
    path = f"{Path(sys.executable).parent}{os.pathsep}{known.get('PATH', os.defpath)}"
    environment = known | {"PATH": path, "PYTHONPATH": PYTHONPATH, "PYTHONIOENCODING": "utf-8"}
    bash = ["bash", "-o", "pipefail", "-c", command]
    return subprocess.run(bash, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=600)


def in_place_of(command: str) -> tuple[str, list[str]] | None:
    """What is run in the place of a command, and the options that it then has to print; None where the command is run."""
    for pattern, instead in COVERED.items():
        found = re.fullmatch(pattern, command.strip())
        if found is not None:
            looks = instead.replace("{1}", found[1] if found.groups() else "")
            return (f"{looks} --help", options_of(shlex.split(command))) if looks.startswith("nir-interop") else (looks, [])
    return None


def run_sh(block: Block, reader: Reader) -> str:
    """What a shell block prints; its commands have to end as they are meant to."""
    printed = ""
    for command in block.commands:
        instead = in_place_of(command)
        ran = reader.run(instead[0] if instead else command)
        may_differ = any(re.search(rf"nir-interop {verb}\b", command) for verb in DIFFERS)
        assert ran.returncode in ((0, 1) if may_differ else (0,)), f"{block}: {command}\n{ran.stdout}{ran.stderr}"
        for option in instead[1] if instead else ():
            assert option in ran.stdout, f"{block}: {command}: {instead[0] if instead else ''} does not name {option}"
        printed += ran.stdout
    return printed


def run_python(block: Block, reader: Reader) -> str:
    """What a block of Python prints, behind those that stand above it; a page's blocks are run together, once."""
    if block.page not in reader.printed:
        blocks = [each for each in BLOCKS if each.page == block.page and each.language == "python"]
        marks = [f"--- {each} begins" for each in blocks]
        script = reader.folder / "block.py"
        parts = (f"print({mark!r}, flush=True)\n{each.code}" for mark, each in zip(marks, blocks, strict=True))
        script.write_text("\n".join(parts), encoding="utf-8")
        ignored = " ".join(f"-W {shlex.quote(f'ignore:{begins}:DeprecationWarning')}" for begins in OF_LIBRARIES)
        ran = shell(f"python -W error {ignored} block.py", reader.folder)
        assert ran.returncode == 0, f"{block.page}: {ran.stdout}{ran.stderr}"
        printed = re.split("|".join(f"{re.escape(mark)}\n" for mark in marks), ran.stdout)[1:]
        reader.printed[block.page] = dict(zip(map(str, blocks), printed, strict=True))
    return reader.printed[block.page][str(block)]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_runs_and_prints_what_the_page_shows(block: Block, reader: Reader) -> None:
    printed = (run_sh if block.language == "sh" else run_python)(block, reader)
    if block.shown is not None:
        different = first_difference(block.shown, printed)
        assert different is None, f"{block}: {different}"


def test_the_adapter_of_the_page_follows_the_edges_of_a_deeper_chain(reader: Reader, tmp_path: Path) -> None:
    deeper = Reader(tmp_path)
    shutil.copy(reader.folder / "x.npz", tmp_path)
    write_graph(tmp_path / "my_graph.nir", 8, 6, 5, 4)
    python = [block for block in BLOCKS if block.page == "docs/adapters.md" and block.language == "python"]
    tried = next(block for block in python if block.shown is not None)
    assert run_python(tried, deeper) == tried.shown == "0 of 1600 outputs differ\n"
    assert Simulator(read(tmp_path / "my_graph.nir"), 1e-4).run(np.load(tmp_path / "x.npz")["input"])[0].output.any()


def test_every_entry_of_the_list_stands_for_a_command_of_some_page() -> None:
    commands = [command.strip() for block in BLOCKS if block.language == "sh" for command in block.commands]
    unused = [pattern for pattern in COVERED if not any(re.fullmatch(pattern, command) for command in commands)]
    assert unused == []


def test_the_studies_of_the_pages_are_those_that_there_are() -> None:
    entries = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("nir_interop.experiments", 1)[1].split("[", 1)[0]
    named = {name for block in BLOCKS for name in re.findall(r"nir-interop experiment (\w+)", block.code)}
    assert named == set(re.findall(r"^(\w+) = ", entries, re.MULTILINE))


def test_no_output_is_shown_for_a_command_that_is_not_run() -> None:
    shown = [block for block in BLOCKS if block.shown is not None and block.language == "sh"]
    assert [str(block) for block in shown if any(in_place_of(command) for command in block.commands)] == []


def test_an_option_that_a_verb_does_not_have_is_noticed(reader: Reader) -> None:
    wrong = Block("README.md", 1, "sh", "nir-interop sweep\nnir-interop experiment csnn_mnist --data-folder DIR\n")
    with pytest.raises(AssertionError, match="does not name --data-folder"):
        run_sh(wrong, reader)


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\n", "a\nb\n", False),
        ("…\nb\n", "a\na\nb\n", True),
        ("a\n…\n", "a\n", True),
        ("b\na\n", "a\nb\n", False),
        ("3 of … differ\n", "3 of 40 differ\n", True),
        ("3 of … differ\n", "4 of 40 differ\n", False),
    ],
)
def test_an_ellipsis_stands_for_anything_and_nothing_else_does(shown: str, printed: str, same: bool) -> None:
    assert (first_difference(shown, printed) is None) is same


def test_a_block_that_says_no_language_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```\nnir-interop check\n```\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no language"):
        blocks_of(page, "page.md")


def test_the_mark_for_anything_is_one_character() -> None:
    assert len(ANYTHING) == 1
