"""What is installed with a backend's name alone is pinned, with versions and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nir_interop.backends.environments import Backend, backends, requirements
from nir_interop.backends.locks import lock_of, lock_text

APART = [each for each in backends() if each.apart]


@pytest.mark.parametrize("backend", APART, ids=lambda each: each.name)
def test_every_backend_that_lives_apart_has_a_lock_that_its_pins_agree_with(backend: Backend) -> None:
    path = lock_of(backend)
    assert path is not None
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9A-Za-z.]*", line) for line in lines)
    assert lines == sorted(lines)
    held = dict(line.split("==") for line in lines)
    for asked in requirements(backend.library):
        pinned = re.match(r"([A-Za-z0-9-]+)==([^\s;]+)", asked)
        if pinned is not None:
            assert held[pinned[1].lower()] == pinned[2], asked


def test_a_lock_has_the_versions_of_a_folder_without_what_tells_builds_apart(tmp_path: Path) -> None:
    for name, version in (("My_Lib", "1.0"), ("torch", "2.0+cpu"), ("pip", "23")):
        about = tmp_path / f"{name}-{version}.dist-info" / "METADATA"
        about.parent.mkdir()
        about.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    assert lock_text("my-lib", tmp_path).splitlines()[1:] == ["my-lib==1.0", "torch==2.0"]


def test_the_locks_are_those_of_backends_that_there_are() -> None:
    folders = {path.parent for each in APART if (path := lock_of(each)) is not None}
    assert {file.stem for folder in folders for file in folder.glob("*")} == {each.name for each in APART}
