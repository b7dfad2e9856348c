"""From a script without a main guard, a thread, a running event loop, twice in one process, and an interactive session."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nir_interop as ni

SCRIPT = """
import sys
import numpy as np
import nir_interop as ni

x = np.load(sys.argv[2])
for _ in range(2):
    print(ni.check(sys.argv[1], input=x, backends=["norse", "reference"])["norse"].mismatched > 0)
print("once")
"""


def test_a_script_needs_no_main_guard_and_may_ask_twice(graph: Path, x: Any, tmp_path: Path) -> None:
    import numpy as np

    np.save(tmp_path / "x.npy", x)
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    for words in ([str(tmp_path / "script.py")], ["-c", SCRIPT]):
        command = [sys.executable, "-W", "error", *words, str(graph), str(tmp_path / "x.npy")]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=240)
        assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["True", "True", "once"], "")


def test_threads_may_ask_at_the_same_time(graph: Path, x: Any) -> None:
    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(ni.check, graph, input=x, backends=["reference"], jobs=1) for _ in range(2)]
        assert all(each.result(240)["reference"].agrees for each in asked)


def test_an_event_loop_may_be_running(graph: Path, x: Any) -> None:
    async def cell() -> bool:
        here = ni.check(graph, input=x, backends=["reference"])
        there = await asyncio.to_thread(ni.check, graph, input=x, backends=["reference"])
        return here.agrees and there.agrees

    assert asyncio.run(cell())
