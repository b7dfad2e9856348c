"""Names in the store follow what a job really imports: editing any of it makes what is kept of no use, and nothing else."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from nir_interop.arrays import save_arrays
from nir_interop.networks import catalogue
from nir_interop.networks.serialization import document_of
from nir_interop.store import keys
from nir_interop.store.imports import PROJECT, Sources, imported
from nir_interop.workers.jobs import GRAPH, KINDS, STIMULUS, Job, job_from_json, job_to_json
from tests.matrix import fakes
from tests.matrix.fakes import ROOT

NETWORK = "mlp_readout"
DOES = """
import json, sys
from nir_interop.workers import worker
from nir_interop.workers.jobs import job_from_json, to_json
import pkgutil
job, adapter = job_from_json(json.loads(sys.argv[1])), pkgutil.resolve_name(sys.argv[2])()
adapter.prepare()
outcome, _ = worker.run(adapter, job)
own = {name: module.__file__ for name, module in sys.modules.items() if getattr(module, "__file__", None)}
print(json.dumps([to_json(outcome), own]))
"""
NAMES = """
import json, sys
from pathlib import Path
from nir_interop.backends.environments import Backend
from nir_interop.store import keys
from nir_interop.transfer.stimuli import CatalogueStimuli, makers
from nir_interop.workers.jobs import KINDS, job_from_json
own = Backend("reference", "nir_interop_adapters.reference:Reference")
lib = Backend("norse", "nir_interop_adapters.norse:Norse")
jobs = {kind: job_from_json(document) for kind, document in json.loads(sys.argv[1]).items()}

def names():
    keys.forget()
    return {
        "norse's cells": keys.job_key(jobs["cell"], lib), "our cells": keys.job_key(jobs["cell"], own),
        "sources": keys.job_key(jobs["source"], lib), "trainings": keys.job_key(jobs["train"], lib),
        "rules": keys.rules_key(own, lib), "fingerprints": keys.made_key("nir_interop.transfer.fingerprints", asks=lib),
        "verdicts": keys.job_key(jobs["explain"], own), "rewritings": keys.job_key(jobs["rewrite"], own, lib),
        "primitives": keys.made_key("nir_interop.conformance.primitives.running", asks=lib),
        "stimuli": keys.made_key(*makers(CatalogueStimuli())),
    }

found = {"": names()}
for file in sys.argv[2:]:
    kept = Path(file).read_bytes()
    Path(file).write_bytes(kept + b"\\nOTHER = 1\\n")
    found[file] = names()
    Path(file).write_bytes(kept)
print(json.dumps(found | {"at last": names()}))
"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Job[Any]]:
    """Kind → a small job of it, as the run makes them."""
    folder = tmp_path_factory.mktemp("jobs")
    entry = catalogue(NETWORK)
    network = entry.build(0)
    nir.write(folder / GRAPH, network.to_nir())
    given = (np.random.default_rng(0).random((12, 2, *network.input_shape)) < 0.5).astype(np.float32)
    save_arrays(folder / STIMULUS, {"input": given})
    save_arrays(folder / "samples.npz", {"input": given, "labels": np.array([0, 1])})
    run = {"graph": GRAPH, "stimulus": STIMULUS, "dt": 1e-4}
    of = {"network": NETWORK, "seed": 0, "dt": 1e-4}
    cell = {
        **of, **run, "native": "native.npz", "parameters": None, "exporter": "norse", "importer": "reference",
        "dt_import": 1e-4, "source_rules": {}, "domain": {},
    }  # fmt: skip
    plain = document_of(network)
    library = fakes.backend(fakes.Honest).as_dict()
    written: dict[str, dict[str, Any]] = {
        "meaning": {**run, "save": str(folder / "native.npz")},
        "source": {**of, "stimulus": STIMULUS, "idiom": "portable", "parameters": None},
        "cell": {**run, "seed": 0, "readout": "last", "source": "native.npz"},
        "train": {**of, "idiom": "portable", "epochs": 1, "batch": 2, "learning_rate": 0.01, "samples": "samples.npz"},
        "intended": {**of, "stimulus": STIMULUS, "native": "native.npz", "graph": GRAPH, "parameters": None},
        "inputs": {"graph": GRAPH, "dt": 1e-4, "seed": 0, "time_limit": 20.0, "save": "made.npz"},
        "judgement": {**run, "meant": "native.npz", "made": "target.npz"},
        "native": {"network": plain, "idiom": "portable", "stimulus": STIMULUS, "save": "save.npz"},
        "native_labels": {"networks": [plain]},
        "identify": {"backend": library | {"module": "nowhere:None"}, "store": str(folder / "store")},
        "module": {
            "file": str(folder / "my_module.py"),
            "name": "net",
            "weights": "",
            "run": "",
            "ask": "record",
            "stimulus": str(folder / STIMULUS),
            "dt": 1e-4,
        },
        "explain": {**cell, "target": "target.npz", "failure": None, "dt_effective": 1e-4},
        "rewrite": {**cell, "limit": 5.0, "backend": library},
    }
    (folder / "my_module.py").write_text(
        "import snntorch, torch\n\nnet = torch.nn.Sequential("
        f"torch.nn.Flatten(), torch.nn.Linear({given[0, 0].size}, 3), snntorch.Leaky(0.9, init_hidden=True))\n"
    )
    where = {"objects": str(folder), "folder": str(folder)}
    made = {kind: job_from_json({"kind": kind, **where, **fields}) for kind, fields in written.items()}
    assert _done(made["meaning"], "nir_interop_adapters.reference:Reference")[0]["status"] == "ok"
    shutil.copy(folder / "native.npz", folder / "target.npz")
    return made


def _done(job: Job[Any], adapter: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The outcome of a job in a fresh process, and module → file of all that it imported."""
    command = [sys.executable, "-c", DOES, json.dumps(job_to_json(job)), adapter]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    outcome, modules = json.loads(said.splitlines()[-1])
    return outcome, modules


OURS = ("explain", "identify", "inputs", "intended", "judgement", "rewrite")
"""Kinds that the reference's worker does, with all of torch."""
LIBRARIES = {
    **dict.fromkeys(OURS, "nir_interop_adapters.reference:Reference"),
    "module": "nir_interop_adapters.snntorch:SnnTorch",
}
"""Kind → the adapter that does it here, where that is none that is quick."""
DONE = sorted(kind for kind, job in KINDS.items() if job.work)


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind in LIBRARIES)) for kind in DONE])
def test_all_that_a_worker_imports_for_a_job_is_in_its_name(kind: str, jobs: Mapping[str, Job[Any]]) -> None:
    adapter = LIBRARIES.get(kind, "tests.matrix.fakes:Honest")
    outcome, modules = _done(jobs[kind], adapter)
    assert kind == "identify" or outcome["status"] not in ("run_error", "import_error"), outcome
    mine = {name for name, file in modules.items() if Path(file).is_relative_to(PROJECT)}
    sources = Sources()
    followed = sources.modules("nir_interop.workers.worker", *keys.sources_of(KINDS[kind])) | sources.modules(
        adapter.partition(":")[0]
    )
    assert mine <= followed, sorted(mine - followed)
    assert len(mine) > 10


def test_a_changed_source_changes_the_names_of_what_it_was_used_for_and_no_others(
    tmp_path: Path, jobs: Mapping[str, Job[Any]]
) -> None:
    for package in (PROJECT / "nir_interop", ROOT / "adapters" / "nir_interop_adapters"):
        shutil.copytree(package, tmp_path / package.name, ignore=shutil.ignore_patterns("__pycache__"))

    explained = {"rules", "fingerprints", "verdicts", "rewritings", "primitives"}
    expected = {
        "nir_interop/graphs/writing.py": explained | {"our cells", "sources"},
        "nir_interop/graphs/inlining.py": explained | {"our cells", "sources"},
        "nir_interop/fingerprint.py": explained,
        "nir_interop/reconcile/gains.py": {"rewritings"},
        "nir_interop/stimuli/encoding.py": {"stimuli"},
        "nir_interop_adapters/torch_support.py": (explained - {"verdicts"}) | {"norse's cells", "sources", "trainings"},
        "nir_interop/report/cells.py": set(),
        "nir_interop/cli/matrix.py": set(),
        "nir_interop/matrix/campaign.py": set(),
    }
    asked = {kind: job_to_json(job) for kind, job in jobs.items()}
    command = [sys.executable, "-c", NAMES, json.dumps(asked), *expected]
    said = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True).stdout
    found: dict[str, dict[str, str]] = json.loads(said)
    before = found.pop("")
    assert found.pop("at last") == before
    assert len(set(before.values())) == len(before)
    for file, after in found.items():
        assert {name for name in before if before[name] != after[name]} == expected[file], file


def _by_parsing(text: str, package: str) -> Iterator[str]:
    """What :func:`imported` finds, by Python's own parser."""
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        if isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{each.name}" for each in node.names)
        waiting += ast.iter_child_nodes(node)


@pytest.mark.parametrize("package", ["harness/nir_interop", "adapters/nir_interop_adapters"])
def test_the_imports_of_every_source_are_found_as_pythons_own_parser_finds_them(package: str) -> None:
    paths = sorted((ROOT / package).rglob("*.py"))
    assert paths
    for path in paths:
        inside = ".".join(path.relative_to((ROOT / package).parent).parts[:-1])
        text = path.read_text(encoding="utf-8")
        assert set(_by_parsing(text, inside)) <= set(imported(text, inside)), path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import a.b as c, d\n", {"a.b", "d"}),
        ("def f():\n    from a import (  # why (so)\n        b as c,\n        d,\n    )\n", {"a", "a.b", "a.d"}),
        ("from . import x\nfrom .y import z\nfrom .. import w\n", {"p.q", "p.q.x", "p.q.y", "p.q.y.z", "p", "p.w"}),
        ("from a import b, \\\n    c\n", {"a", "a.b", "a.c"}),
        ("if TYPE_CHECKING:\n    from a import b\n\n    import c\nimport d\n", {"d"}),
        ("    if typing.TYPE_CHECKING:\n        import c\n    else:\n        import d\n", {"d"}),
        ("from a import *\n", {"a"}),
        ("importing = 1\nfrom_a = 2\n", set()),
    ],
)
def test_every_form_of_an_import_is_understood(text: str, found: set[str]) -> None:
    assert set(imported(text, "p.q")) == found


def test_an_adapter_elsewhere_is_followed_into_its_own_package_and_ours(tmp_path: Path) -> None:
    package = tmp_path / "libadapter"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "main.py").write_text(
        "from libadapter.inner import x\nfrom nir_interop.backends.adapter import Adapter\nimport json\n"
    )
    (package / "inner.py").write_text("x = 1\n")
    sources = Sources((tmp_path,))
    found = sources.modules("libadapter.main")
    assert {"libadapter", "libadapter.main", "libadapter.inner", "nir_interop.backends.adapter", "nir_interop.errors"} <= found
    assert not any(name.startswith(("json", "nir_interop.report")) for name in found)
    before = sources.digest("libadapter.main")
    (package / "inner.py").write_text("x = 2\n")
    assert Sources((tmp_path,)).digest("libadapter.main") != before
    assert sources.digest("libadapter.main") == before  # what a run began with


def test_the_surroundings_of_workers_are_in_every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from nir_interop.workers import scheduler

    before = keys.backend_key(fakes.backend(fakes.Honest))
    monkeypatch.setitem(scheduler.ENVIRONMENT, "MKL_CBWR", "AUTO")
    keys.forget()
    assert keys.backend_key(fakes.backend(fakes.Honest)) != before
    monkeypatch.undo()
    keys.forget()
