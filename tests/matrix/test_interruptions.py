"""Whatever ends a run, or stands in its way, it says so in a line, leaves no process, and loses nothing that was finished."""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.matrix import fakes
from tests.matrix.fakes import ROOT
from tests.matrix.matrix_runs import NETWORK, command, wait_until, workers_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")

KINDS = (fakes.Honest, fakes.Wrong, fakes.Slow, fakes.Failing)
NETWORKS = (NETWORK, "mlp_lif")
TABLES = ("report.csv", "sources.csv")


def ran(
    folder: Path, *options: str, env: dict[str, str] | None = None, before: Callable[[], None] | None = None, **more: object
) -> subprocess.CompletedProcess[str]:
    """A run of the matrix in a folder."""
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.run(
        [*command(KINDS, NETWORKS), *options], cwd=folder, env=env, preexec_fn=before, text=True, timeout=300, **given
    )  # type: ignore[call-overload, no-any-return]


def tables(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "results" / name).read_bytes() for name in TABLES}


def said(stderr: str) -> list[str]:
    """What a run says on stderr, other than how far it has come."""
    return [line for line in stderr.splitlines() if not re.match(r"\d+/\d+ ", line)]


def one_line(stderr: str) -> str:
    """The one line that a run ends with."""
    lines = said(stderr)
    assert len(lines) == 1, stderr
    assert lines[0].startswith("nir-interop: ")
    return lines[0]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed")
    ended = ran(folder)
    assert (ended.returncode, said(ended.stderr)) == (0, [])
    return tables(folder)


def started(folder: Path, jobs: int = 2) -> subprocess.Popen[str]:
    """A run of which something is finished and something is not."""
    process = subprocess.Popen(
        command(KINDS, NETWORKS, jobs),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    cells = folder / ".nir-interop" / "cells"
    assert wait_until(lambda: len(list(cells.glob("*.json"))) >= 2, 60)
    return process


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow), pytest.param(signal.SIGHUP, marks=pytest.mark.slow)],
)
def test_a_signal_ends_a_run_in_order(tmp_path: Path, undisturbed: dict[str, bytes], number: signal.Signals) -> None:
    process = started(tmp_path)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (128 + number, "")
    assert "stored in .nir-interop, no table was written; the same command goes on from there" in one_line(stderr)
    assert workers_of(tmp_path / ".nir-interop") == []
    assert list((tmp_path / ".nir-interop" / "tmp").iterdir()) == []
    assert ran(tmp_path).returncode == 0
    assert tables(tmp_path) == undisturbed


def _killed(folder: Path, moments: int) -> int:
    """Kill a run at random moments, with the same one going on each time; how many of them were still running."""
    chance, killed = random.Random(13), 0
    for _ in range(moments):
        process = subprocess.Popen(command(KINDS, NETWORKS), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.2, 3.0))
        killed += process.poll() is None
        process.kill()
        process.wait()
        assert wait_until(lambda: not workers_of(folder / ".nir-interop"), 20)
        found = folder / "results"
        assert not found.exists() or not (found / "report.csv").exists() or (found / "report.csv").read_bytes().endswith(b"\n")
    return killed


@pytest.mark.parametrize("moments", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_at_random_moments_ends_in_the_same_tables(
    tmp_path: Path, undisturbed: dict[str, bytes], moments: int
) -> None:
    assert _killed(tmp_path, moments) > 0
    assert ran(tmp_path).returncode == 0
    assert tables(tmp_path) == undisturbed


def test_workers_that_are_killed_do_not_show(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    """One at a time, and after each the run comes one cell further: a job whose worker dies twice is a crash."""
    process, chance, killed = started(tmp_path, jobs=1), random.Random(13), 0
    cells = tmp_path / ".nir-interop" / "cells"
    while killed < 3 and process.poll() is None:
        known = len(list(cells.glob("*.json")))
        found = workers_of(tmp_path / ".nir-interop")
        if found:
            os.kill(chance.choice(found), signal.SIGKILL)
            killed += 1
        wait_until(lambda known=known: process.poll() is not None or len(list(cells.glob("*.json"))) > known, 60)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert killed
    assert tables(tmp_path) == undisturbed


def test_two_runs_at_once_in_one_folder_end_in_the_tables_of_one(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    both = [
        subprocess.Popen(
            command(KINDS, NETWORKS, jobs=1), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in both:
        _, stderr = process.communicate(timeout=300)
        assert (process.returncode, said(stderr)) == (0, [])
    assert tables(tmp_path) == undisturbed
    assert sorted(path.name for path in (tmp_path / "results").glob(".*")) == []


def test_what_a_library_started_ends_with_a_run_that_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen(command((fakes.Honest, fakes.Multiplying, fakes.Sleeping)), cwd=tmp_path, stderr=subprocess.PIPE)
    store = tmp_path / ".nir-interop"
    assert wait_until(lambda: len(workers_of(store)) > 6, 60)
    process.kill()
    process.communicate()
    assert wait_until(lambda: not workers_of(store), 20)


def test_a_reader_that_has_gone_ends_it_quietly(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = ran(tmp_path, stdout=writing)
    os.close(writing)
    assert (ended.returncode, said(ended.stderr)) == (141, [])
    assert set(TABLES) <= {path.name for path in (tmp_path / "results").iterdir()}


@pytest.mark.parametrize("numbers", [(0, 1, 2), pytest.param((1,), marks=pytest.mark.slow)])
def test_closed_streams_change_no_table(tmp_path: Path, undisturbed: dict[str, bytes], numbers: Sequence[int]) -> None:
    assert ran(tmp_path, before=lambda: [os.close(each) for each in numbers] and None, stderr=None).returncode == 0
    assert tables(tmp_path) == undisturbed


def test_output_that_finds_no_room_is_said(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        ended = ran(tmp_path, stdout=full)
    assert ended.returncode == 2
    assert one_line(ended.stderr).startswith("nir-interop: the output, or the disk: No space left on device; free some")


def test_files_that_may_not_be_written_in_full_are_said(tmp_path: Path) -> None:
    ended = ran(tmp_path, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (256, 256)))
    assert ended.returncode == 2
    assert "the store cannot be written (File too large)" in one_line(ended.stderr)
    assert workers_of(tmp_path / ".nir-interop") == []


def mounted(folder: Path, what: str, then: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """A command in a namespace in which ``store`` is mounted; skips where that needs root."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    store = folder / "store"
    store.mkdir(exist_ok=True)
    if not shutil.which("unshare") or subprocess.run([*unshare, "sh", "-c", f"{what} {store}"], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    return subprocess.run(
        [*unshare, "sh", "-c", f'{what} {store} && exec "$@"', "sh", *then],
        cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_a_full_disk_is_said_and_no_cell_is_blamed_for_it(tmp_path: Path) -> None:
    kinds = (fakes.Honest, *(fakes.Wrong, fakes.Slow, fakes.Failing))
    run = command(kinds, NETWORKS)
    ended = mounted(tmp_path, "mount -t tmpfs -o size=60k tmpfs", [*run, "--store", "store", "--results", "results"])
    assert ended.returncode == 2
    assert "No space left on device" in one_line(ended.stderr)
    assert not (tmp_path / "results").exists()


def test_a_disk_that_may_only_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    run = [*command(KINDS, NETWORKS), "--store", "store", "--results", "results"]
    ended = mounted(tmp_path, f"mount --bind {tmp_path}/store {tmp_path}/store && mount -o remount,bind,ro", run)
    assert ended.returncode == 2
    assert one_line(ended.stderr) == "nir-interop: --store store: nothing may be written there; name another folder"


@pytest.mark.parametrize("home", [None, *(pytest.param(each, marks=pytest.mark.slow) for each in ("/nowhere", "/proc"))])
def test_a_home_that_is_not_there_is_not_missed(tmp_path: Path, undisturbed: dict[str, bytes], home: str | None) -> None:
    kept = {"PATH": os.environ["PATH"]} | ({} if home is None else {"HOME": home})
    ended = ran(tmp_path, env=kept)
    assert (ended.returncode, said(ended.stderr)) == (0, [])
    assert tables(tmp_path) == undisturbed


def test_a_locale_without_unicode_changes_no_table(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    plain = {**os.environ, "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii:strict"}
    ended = ran(tmp_path, env=plain)
    assert (ended.returncode, said(ended.stderr)) == (0, [])
    assert tables(tmp_path) == undisturbed


def test_no_folder_for_temporary_files_is_said(tmp_path: Path) -> None:
    text = command(KINDS)
    patched = "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/nowhere']\n" + text[2].replace(
        "plan_of(*kinds", "tempfile.gettempdir() and plan_of(*kinds"
    )
    ended = subprocess.run([*text[:2], patched, *text[3:]], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 2
    assert one_line(ended.stderr) == (
        "nir-interop: there is no folder for temporary files that can be written to; have TMPDIR name one"
    )


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    text = f"import os, sys; os.rmdir({str(gone)!r}); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    ended = subprocess.run(
        [sys.executable, "-c", text, *command(KINDS)[1:]], cwd=gone, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 2
    assert one_line(ended.stderr) == "nir-interop: the folder that this was called in is gone; change to another"


WRITER = """
import sys
sys.path[:0] = [{root!r}]
from pathlib import Path
from nir_interop.schema import write_text
while True:
    for letter in "ab":
        write_text(Path("table.csv"), letter * 2**20)
"""


def test_a_reader_never_sees_half_a_table(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    process = subprocess.Popen([sys.executable, "-c", WRITER.format(root=str(ROOT))], cwd=tmp_path)
    assert wait_until(table.exists, 30)
    seen = {table.read_bytes() for _ in range(100)}
    process.kill()
    process.wait()
    assert seen | {table.read_bytes()} <= {b"a" * 2**20, b"b" * 2**20}
