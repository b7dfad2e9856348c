"""Two hundred mutated files through the product: an answer or one clear line, never a traceback."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nir_interop.errors import BadInput
from nir_interop.graphs import write
from tests import command_line
from tests.fuzz import mutators, seeds, targets
from tests.fuzz.campaign import MOST_GIB, MOST_SECONDS, PLAN, Maker, Tried, run, try_here
from tests.fuzz.targets import SHORT, WHOLE, Wrong, feed

FILES, PARTS = 200, 8


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    return Maker(1, tmp_path_factory.mktemp("seeds"))


@pytest.mark.parametrize("part", range(PARTS))
def test_mutated_files_are_taken_or_refused_in_one_line(maker: Maker, part: int, tmp_path: Path) -> None:
    tried = [try_here(number, *maker.make(number), tmp_path, SHORT) for number in range(part, FILES, PARTS)]
    wrong = [str(each) for each in tried if each.result not in ("taken", "refused") or each.seconds > MOST_SECONDS]
    assert not wrong, "\n".join(wrong)
    assert {each.result for each in tried} == {"taken", "refused"}


def test_the_sound_files_are_taken_whole(maker: Maker, tmp_path: Path) -> None:
    for kind, sound in maker.sound.items():
        for number, content in enumerate(sound):
            path = tmp_path / f"{number}.{kind}"
            path.write_bytes(content)
            readable = kind != "npz" or number == len(sound) - 1  # the other recordings have no index
            assert feed(kind, path, WHOLE if number == 1 else SHORT) == ("taken" if readable else "refused"), (kind, number)


def test_every_primitive_is_in_a_sound_graph() -> None:
    from nir_interop.graphs import inline
    from nir_interop.graphs.primitives import PARAMETERS

    kinds = {node.kind for graph in seeds.graphs() for _, node in inline(graph).primitives()}
    assert kinds == set(PARAMETERS)


def test_the_same_seed_gives_the_same_files_and_another_gives_others(maker: Maker, tmp_path: Path) -> None:
    numbers = range(len(PLAN))
    again, other = Maker(1, tmp_path), Maker(2, tmp_path)
    assert [maker.make(number) for number in numbers] == [again.make(number) for number in numbers]
    assert sum(maker.make(number) != other.make(number) for number in numbers) > len(PLAN) // 2


def test_every_change_to_what_a_file_says_changes_some_file(maker: Maker) -> None:
    changed: Counter[str] = Counter()
    for change in set(mutators._STRUCTURAL):
        for number in range(4):
            generator = np.random.default_rng(number)
            sound = mutators.pick(generator, maker.sound["nir"])
            only = mutators.changed_by(generator, sound, [change])
            changed[change.__name__] += only != sound
    assert min(changed.values()) > 0, changed


def test_a_bug_is_seen_and_the_file_that_shows_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, bounds: targets.Bounds) -> None:
        raise ZeroDivisionError("a bug\nin the product")

    monkeypatch.setitem(targets._KINDS, "csv", broken)
    tried = try_here(7, "csv", b"a,b", tmp_path, SHORT)
    assert not tried.fine
    assert tried.result.startswith("ZeroDivisionError: a bug in the product at test_fuzz.py:")
    monkeypatch.setitem(targets._KINDS, "csv", lambda path, bounds: (_ for _ in ()).throw(BadInput("two\nlines")))
    with pytest.raises(Wrong, match="not one clear line"):
        feed("csv", tmp_path / "x.csv", SHORT)
    assert not Tried(1, "nir", "taken", MOST_SECONDS + 1, 0.1).fine
    assert not Tried(1, "nir", "taken", 1.0, MOST_GIB + 0.1).fine


@pytest.mark.slow
def test_a_campaign_of_processes_gives_each_file_an_answer(tmp_path: Path) -> None:
    found = list(run(8, 3, SHORT, 1, tmp_path / "kept", begin=14))
    assert sorted(each.number for each in found) == list(range(14, 22))
    assert all(each.fine for each in found), found
    assert not (tmp_path / "kept").exists()


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["check", "explain", "reconcile"])
def test_through_the_command_line_a_bad_file_is_one_line_and_exit_2(maker: Maker, verb: str, tmp_path: Path) -> None:
    more = ["--to", "reference", "-o", "o.nir"] if verb == "reconcile" else ["--backend", "reference"]
    refused = None
    for number in range(30):
        kind, content = maker.make(number)
        path = tmp_path / f"{number}.nir"
        path.write_bytes(content)
        if kind == "nir" and feed("nir", path, SHORT) == "refused":
            refused = path
            break
    assert refused is not None
    ended = command_line.run(verb, refused.name, *more, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert ended.stderr.startswith("nir-interop: ")
    assert ended.stderr.count("\n") == 1


def test_a_graph_that_was_taken_is_written_as_it_was(tmp_path: Path) -> None:
    for number, graph in enumerate(seeds.graphs()):
        path = tmp_path / f"{number}.nir"
        write(path, graph)
        assert feed("nir", path, SHORT) == "taken"
