"""docs/adapters.md, followed from nothing to the rules of a small library, in a folder of one's own and without an index."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.fake_packages import wheel
from tests.cli.test_cli import run
from tests.docs.blocks import blocks_of
from tests.places import PYTHONPATH, ROOT

PAGE = "docs/adapters.md"


def shown(begins: str) -> str:
    """The block of Python of the page that holds a line."""
    (found,) = (each.code for each in blocks_of(ROOT / PAGE, PAGE) if each.language == "python" and begins in each.code)
    return found


@pytest.mark.slow
def test_the_page_leads_from_nothing_to_the_rules_of_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    wheel(tmp_path / "links", "1.0", shown("class Chain:"), name="mylib")
    made = run("backends", "new", "mylib", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    package, site = tmp_path / "nir-interop-mylib", tmp_path / "site"
    assert (package / "nir_interop_mylib" / "__init__.py").is_file()

    def installed() -> None:
        """``pip install``, into a folder of the test's and without an index."""
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--upgrade"]
        subprocess.run([*pip, "--target", str(site), str(package)], check=True, capture_output=True, text=True)

    installed()
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{PYTHONPATH}")
    absent = run("backends", "check", "mylib", cwd=tmp_path)
    assert absent.returncode == 1
    assert absent.stdout.splitlines()[0] == (
        "fault: installed: mylib: mylib not installed; run nir-interop backends install mylib"
    )
    offline = ("--no-index", "--find-links", "links")
    assert run("backends", "install", "mylib", *offline, cwd=tmp_path).returncode == 0
    unwritten = run("backends", "check", "mylib", cwd=tmp_path)
    assert unwritten.returncode == 1
    assert "NotImplementedError: write load" in unwritten.stdout

    adapter = "import numpy as np\nfrom mylib import Chain\n" + shown("class MyLib(Adapter)")
    (package / "nir_interop_mylib" / "__init__.py").write_text(adapter)
    pyproject = package / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("nir_interop_mylib:Mylib", "nir_interop_mylib:MyLib"))
    installed()
    kept = run("backends", "check", "mylib", cwd=tmp_path)
    assert (kept.returncode, kept.stdout.splitlines()[-1]) == (0, "mylib: keeps the contract"), kept.stdout + kept.stderr

    ran = run("rules", "mylib", "--json", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    rule = json.loads(ran.stdout)["mylib"]["import"]["LIF"]
    assert (rule["decay"], rule["comparison"], rule["reset"], rule["resistance"]) == ("euler", "above", "to_value", "used")
    assert (rule["outputs"] > 0, rule["mismatched"]) == (True, 0)
