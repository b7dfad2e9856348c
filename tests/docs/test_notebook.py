"""The notebook of docs/: it runs from its first cell to its last, and holds nothing but text and code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.known import STORE
from tests.places import PYTHONPATH, ROOT

NOTEBOOK: dict[str, Any] = json.loads((ROOT / "docs" / "your-network.ipynb").read_text(encoding="utf-8"))
CELL_BY_CELL = """
import ast, json, sys

cells = json.load(open(sys.argv[1], encoding="utf-8"))["cells"]
names = {"__name__": "__main__"}
for number, cell in enumerate(cells):
    if cell["cell_type"] == "code":
        *first, last = ast.parse("".join(cell["source"])).body
        exec(compile(ast.Module(first, []), f"cell {number}", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
            if value is not None:
                print(value)
                assert "<table" in value._repr_html_()
        else:
            exec(compile(ast.Module([last], []), f"cell {number}", "exec"), names)
"""
"""What a notebook does: the last expression of a cell is shown."""


def test_it_holds_no_outputs_and_says_which_format_it_has() -> None:
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 4)
    for cell in NOTEBOOK["cells"]:
        assert cell["metadata"] == {}
        assert all(line.endswith("\n") for line in cell["source"][:-1])
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


def test_its_cells_run_one_after_the_other_and_the_network_computes_the_same_elsewhere(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": PYTHONPATH, "NIR_INTEROP_STORE": str(STORE)}
    words = [sys.executable, "-c", CELL_BY_CELL, str(ROOT / "docs" / "your-network.ipynb")]
    ran = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500)
    assert ran.returncode == 0, ran.stderr
    assert "norse: exact on " in ran.stdout
    assert ran.stdout.endswith("\n0 of 20000 outputs differ\n")
