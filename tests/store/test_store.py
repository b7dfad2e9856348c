"""What lies in a store is believed for its content alone; whatever else lies there is made again."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nir_interop.errors import BadInput
from nir_interop.store import store as stores
from nir_interop.store.store import Store

KINDS = (
    *("backends", "stimuli", "trainings", "sources", "intended", "cells", "fingerprints", "explanations", "rewritings"),
    *("rules", "primitives", "pages"),
)
OUTCOME: dict[str, Any] = {"status": "exact", "rows": [1, 2.5, None], "says": "τ → ∞"}


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _folder(path: Path) -> None:
    path.unlink()
    (path / "below").mkdir(parents=True)
    (path / "below" / "file").write_text("x")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "gone")


def _large(path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(2**40)


def _deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def _forge(path: Path) -> None:
    """A number is changed, and the sum is left."""
    path.write_text(path.read_text().replace("2.5", "2.6"))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "emptied": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "one bit": _flip,
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b" \n{}"),
    "other text": lambda path: path.write_bytes(b"\xff\xfe\x00 nothing"),
    "other JSON": lambda path: path.write_text("[]"),
    "null": lambda path: path.write_text("null"),
    "too deep": _deep,
    "too large": _large,
    "removed": lambda path: path.unlink(),
    "a folder": _folder,
    "a pipe": _pipe,
    "a device": _device,
    "a link to nothing": _nowhere,
}


@pytest.mark.parametrize("damage", [*DAMAGES, "a number"])
def test_an_entry_that_is_not_what_was_put_there_is_absent_and_made_again(tmp_path: Path, damage: str) -> None:
    if damage == "a device" and sys.platform != "linux":
        pytest.skip("no such device")
    (DAMAGES | {"a number": _forge})[damage](_entry(tmp_path, "cells"))
    store = Store(tmp_path)
    assert _in_time(lambda: store.get("cells", "key")) is None
    store.put("cells", "key", OUTCOME)
    assert Store(tmp_path).get("cells", "key") == OUTCOME
    assert (tmp_path / "cells" / "key.json").is_file()


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_object_that_is_not_what_its_name_says_is_absent_and_made_again(tmp_path: Path, damage: str) -> None:
    if damage == "a device" and sys.platform != "linux":
        pytest.skip("no such device")
    given, store = tmp_path / "graph.nir", Store(tmp_path / "store")
    given.write_bytes(b"a graph" * 100)
    name = store.adopt(given)
    store.put("sources", "key", {"objects": {"graph.nir": name}})
    assert store.get("sources", "key") is not None
    DAMAGES[damage](store.object(name))
    for each in (store, Store(tmp_path / "store")):  # the one that saw it sound, too
        assert _in_time(lambda each=each: each.get("sources", "key")) is None
    assert store.adopt(given) == name
    assert store.object(name).read_bytes() == given.read_bytes()
    assert Store(tmp_path / "store").get("sources", "key") is not None


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_counts_under_its_own_key_and_kind_alone(tmp_path: Path, kind: str) -> None:
    store = Store(tmp_path)
    other = KINDS[KINDS.index(kind) - 1]
    store.put(kind, "one", OUTCOME)
    store.put(kind, "two", {**OUTCOME, "status": "mismatch"})
    store.put(other, "one", {**OUTCOME, "status": "crash"})
    one, two, third = tmp_path / kind / "one.json", tmp_path / kind / "two.json", tmp_path / other / "one.json"
    shutil.copyfile(two, one)
    assert store.get(kind, "one") is None
    assert store.get(kind, "two") == {**OUTCOME, "status": "mismatch"}
    shutil.copyfile(third, two)
    assert store.get(kind, "two") is None
    shutil.copyfile(third, one)
    assert store.get(kind, "one") is None


@pytest.mark.parametrize("version", [1, 3, "2", None])
def test_an_entry_of_another_version_is_absent(tmp_path: Path, version: Any) -> None:
    path = _entry(tmp_path, "cells")
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "version": version}))
    assert Store(tmp_path).get("cells", "key") is None


def test_an_object_of_that_name_elsewhere_does_not_count(tmp_path: Path) -> None:
    given, store = tmp_path / "graph.nir", Store(tmp_path / "store")
    given.write_bytes(b"a graph")
    name = store.adopt(given)
    shutil.copyfile(store.object(name), tmp_path / name)
    for named in (f"../../{name}", str(tmp_path / name), "", ".", ".."):
        store.put("sources", "key", {"objects": {"graph.nir": named}})
        assert store.get("sources", "key") is None, named


@pytest.mark.parametrize("name", ["cells", "objects", "tmp"])
def test_a_file_where_a_folder_of_the_store_should_be_gives_way(tmp_path: Path, name: str) -> None:
    given, store = tmp_path / "graph.nir", Store(tmp_path / "store")
    given.write_bytes(b"a graph")
    store.path.mkdir()
    (store.path / name).write_text("in the way")
    store.put("cells", "key", {**OUTCOME, "objects": {"graph.nir": store.adopt(given)}})
    assert store.scratch().is_dir()
    assert store.get("cells", "key") is not None


def test_a_store_that_is_a_file_is_said_in_a_line_and_stays(tmp_path: Path) -> None:
    place = tmp_path / "store"
    place.write_text("somebody's")
    with pytest.raises(BadInput, match=r"^.*/store: the store cannot be written \(.*\); make it a folder .* with --store$"):
        Store(place).put("cells", "key", OUTCOME)
    assert Store(place).get("cells", "key") is None
    assert place.read_text() == "somebody's"


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, r"No space left on device\); free some space, or name another with --store"),
        (errno.EDQUOT, r"Disk quota exceeded\); free some space, or name another with --store"),
        (errno.EROFS, r"Read-only file system\); make it a folder that can be written to, or name another with --store"),
        (errno.EACCES, r"Permission denied\); make it a folder that can be written to, or name another with --store"),
        (errno.EIO, r"Input/output error\); make it"),
    ],
)
def test_a_disk_that_takes_nothing_is_said_in_a_line_and_what_was_there_stays(
    tmp_path: Path, number: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.put("cells", "key", OUTCOME)

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(stores.os, "replace" if number == errno.EIO else "fdopen", refuse)
    with pytest.raises(BadInput, match=says):
        store.put("cells", "key", {"status": "other"})
    monkeypatch.undo()
    assert store.get("cells", "key") == OUTCOME
    assert list((tmp_path / "tmp").iterdir()) == []


def test_temporary_files_of_runs_that_are_dead_are_removed_and_those_of_others_stay(tmp_path: Path) -> None:
    alive = Store(tmp_path).scratch()
    (tmp_path / "tmp" / "1-of-another-container").mkdir()
    dead = tmp_path / "tmp" / f"{os.getpid()}-dead"
    dead.mkdir()
    (dead / "lock").touch()
    draft, old_draft = tmp_path / "tmp" / "1-x.part", tmp_path / "tmp" / "2-x.part"
    draft.touch()
    old_draft.touch()
    os.utime(old_draft, (time.time() - 7200,) * 2)
    mine = Store(tmp_path).scratch()
    left = {path.name for path in (tmp_path / "tmp").iterdir()}
    assert left == {alive.name, mine.name, "1-of-another-container", draft.name}


def _entry(folder: Path, kind: str) -> Path:
    Store(folder).put(kind, "key", OUTCOME)
    assert Store(folder).get(kind, "key") == OUTCOME
    return folder / kind / "key.json"


def _in_time(call: Callable[[], Any]) -> Any:
    """A call's answer; a reader that waits for ever is a failure."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()), daemon=True)
    thread.start()
    thread.join(30)
    assert found, "no answer"
    return found[0]
