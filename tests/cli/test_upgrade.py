"""``nir-interop upgrade``: what it prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import nir

from tests.cli.test_cli import run
from tests.graphs.old_files import graph, lif, write


def test_it_lists_what_was_changed_and_writes_the_file(tmp_path: Path) -> None:
    write(tmp_path / "old.nir", graph(version="0.2.0", lif=lif(())))
    done = run("upgrade", "old.nir", "-o", "new.nir", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    version, parameters, written, same, read = done.stdout.splitlines()
    assert version == f"1. the version of the file: 0.2.0 → {nir.version}"
    assert parameters == "2. r, tau, v_leak, v_reset, v_threshold of LIF 'lif': one number → (3,)"
    assert written == f"As NIR {nir.version} → new.nir"
    assert "the same as before, bit for bit" in same
    assert read == f"nir.read {nir.version} takes it, its types checked."
    assert set(nir.read(tmp_path / "new.nir").nodes) == {"input", "fc", "lif", "output"}
    again = run("upgrade", "new.nir", "-o", "newer.nir", "--json", cwd=tmp_path)
    said = json.loads(again.stdout)
    assert said["changes"] == [] and said["readable"] is True and said["written"] == "newer.nir"


def test_it_does_not_write_over_the_old_file(tmp_path: Path) -> None:
    old = write(tmp_path / "old.nir", graph())
    before = old.read_bytes()
    done = run("upgrade", "old.nir", "-o", "old.nir", cwd=tmp_path)
    assert done.returncode == 2 and "that is the graph itself" in done.stderr
    assert old.read_bytes() == before
