"""``nir-interop transfer``: a module in a Python file, for other libraries; what it computes is asked of them by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import run
from tests.known import installed

MODULE = '''
import torch
from torch import nn
import snntorch as snn

SCALE = 2.0


class Net(nn.Module):
    """Two kinds of reset, states passed and returned."""

    def __init__(self):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(12, 20), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(20, 4), snn.Leaky(beta=0.8, reset_mechanism="zero")

    def forward(self, x, mem1=None, mem2=None):
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return spk2, mem1, mem2


def trained():
    torch.manual_seed(1)
    net = Net()
    for parameter in net.parameters():
        if parameter.ndim == 2:
            parameter.data *= SCALE
    return net


net = Net()
number = 3
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_module.py").write_text(MODULE)
    x = np.random.default_rng(3).random((40, 6, 12)) < 0.4
    np.savez(tmp_path / "x.npz", input=x.astype(np.float32), labels=np.arange(6) % 4)
    (tmp_path / "broken.py").write_text("import snntorch\n\nnet = undefined\n")
    (tmp_path / "both.py").write_text("import norse\nimport snntorch\n")
    (tmp_path / "no.py").write_text("net = (\n")
    (tmp_path / "w.pt").write_bytes(b"no weights")
    return tmp_path


INPUT = ["--input", "x.npz", "--to", "reference", "-o", "o.nir"]
BAD = {
    "no such file": (["nothing.py:net", *INPUT], "nothing.py"),
    "no name": (["my_module.py", *INPUT], "give FILE.py:NAME"),
    "no such name": (["my_module.py:nett", *INPUT], "modules in it: net"),
    "no module": (["my_module.py:number", *INPUT], "name a torch.nn.Module"),
    "a file that fails": (["broken.py:net", *INPUT], "broken.py, line 3: NameError"),
    "no Python": (["no.py:net", *INPUT], "no Python, line 1"),
    "of two libraries": (["both.py:net", *INPUT], "say of which library the module is with --from"),
    "of another library": (["my_module.py:net", *INPUT, "--from", "norse"], "has no neurons of norse"),
    "no weights": (["my_module.py:net", *INPUT, "--weights", "w.pt"], "save it with torch.save(module.state_dict(), FILE)"),
    "no file of weights": (["my_module.py:net", *INPUT, "--weights", "nothing.pt"], "nothing.pt: there is no such file"),
    "no function": (["my_module.py:net", *INPUT, "--run", "number"], "--run names a function"),
    "unknown target": (["my_module.py:net", "--input", "x.npz", "--to", "brian", "-o", "o.nir"], "norse"),
    "no step": (["my_module.py:net", *INPUT, "--dt", "0"], "--dt 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_call_writes_nothing_and_says_in_one_line_what_to_do(name: str, folder: Path) -> None:
    installed("snntorch")
    arguments, words = BAD[name]
    done = run("transfer", *arguments, cwd=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("nir-interop: ")
    assert words in line
    assert not (folder / "o.nir").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_module_in_a_file_computes_in_norse_what_it_computes(folder: Path) -> None:
    """Two kinds of reset, its weights in a file; held against each other on other inputs, by both libraries alone."""
    installed("snntorch")
    installed("norse")
    torch = pytest.importorskip("torch")
    nir = pytest.importorskip("nir")
    from norse.torch.utils.import_nir import from_nir

    namespace: dict[str, object] = {}
    exec(compile(MODULE, "my_module.py", "exec"), namespace)
    net = namespace["trained"]()  # type: ignore[operator]
    torch.save(net.state_dict(), folder / "weights.pt")
    arguments = ["my_module.py:net", "--weights", "weights.pt", "--input", "x.npz", "--to", "norse", "-o", "for_norse.nir"]
    done = run("transfer", *arguments, "--json", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["library"] == "snntorch"
    assert said["exported_by"] == "nir-interop"
    assert any("has one number for beta" in line and "torch.full((20,), 0.9)" in line for line in said["lost"]), said["lost"]
    (target,) = said["targets"]
    assert target["exact"]
    assert target["accuracy"][0] == target["accuracy"][1]

    x = (torch.from_numpy(np.random.default_rng(99).random((150, 32, 12))) < 0.55).float()
    module, state, states = from_nir(nir.read(folder / "for_norse.nir"), dt=1e-4), None, (None, None)
    meant, made = [], []
    with torch.no_grad():
        for frame in x:
            spikes, *states = net(frame, *states)
            output, state = module(frame, state)
            meant.append(spikes)
            made.append(output)
    assert 0.01 < torch.stack(meant).mean() < 0.5
    assert torch.equal(torch.stack(made), torch.stack(meant))


def test_weights_that_would_run_code_are_not_loaded(folder: Path) -> None:
    installed("snntorch")
    torch = pytest.importorskip("torch")

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str, ...]]:
            return exec, (f"open({str(folder / 'ran')!r}, 'w').close()",)

    torch.save({"fc1.weight": Payload()}, folder / "evil.pt")
    done = run("transfer", "my_module.py:net", *INPUT, "--weights", "evil.pt", cwd=folder)
    assert done.returncode == 2
    assert "holds no weights" in done.stderr
    assert not (folder / "ran").exists()
    torch.load(folder / "evil.pt", weights_only=False)
    assert (folder / "ran").exists(), "the payload works where it is let"


def test_the_users_file_does_not_run_in_the_tool(folder: Path) -> None:
    """A file that ends its process ends no more than that."""
    installed("snntorch")
    (folder / "ends.py").write_text("import os\n\nimport snntorch\n\nos._exit(3)\n")
    done = run("transfer", "ends.py:net", *INPUT, cwd=folder)
    assert done.returncode not in (0, 3)
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
