"""Backends are found, with their versions, and nothing of theirs is imported."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from nir_interop.backends import environments
from nir_interop.backends.environments import (
    Backend,
    backend,
    backends,
    dependencies,
    installed_versions,
    python_version,
    requirements,
    suite_version,
)
from nir_interop.errors import UnknownName

DIRECT = {"url": "https://example.org/norse", "vcs_info": {"vcs": "git", "commit_id": "065a3b45aaaaaaaa"}}


def make_environment(folder: Path, name: str, distributions: dict[str, str]) -> Path:
    """An environment with nothing but metadata in it."""
    python = folder / ".envs" / name / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    site = folder / ".envs" / name / "lib" / "python3.10" / "site-packages"
    for one, version in distributions.items():
        metadata = site / f"{one}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: {one}\nVersion: {version}\n")
    return site


def test_every_entry_point_is_a_backend_with_the_distributions_of_its_extra() -> None:
    found = {one.name: one for one in backends()}
    assert list(found) == sorted(found)
    assert found["norse"].distributions == ("norse", "nirtorch", "torch")
    assert found["norse"].module == "nir_interop_adapters.norse:Norse"
    assert found["norse"].installed
    assert found["norse"].version == found["norse"].versions["norse"]
    assert found["reference"].version == suite_version()
    assert {"nir", "numpy", "h5py"} <= set(found["exact"].versions)


def test_looking_for_backends_imports_no_library() -> None:
    text = "import sys; from nir_interop.backends.environments import backends; backends(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "nir", "snntorch", "norse", "spikingjelly", "nir_interop_adapters"} & set(loaded)


def test_an_environment_of_its_own_is_used_with_the_versions_in_it(tmp_path: Path) -> None:
    make_environment(tmp_path, "norse", {"norse": "1.1.1", "torch": "2.0", "nirtorch": "2.6", "nir": "1.0.4"})
    norse = next(one for one in backends([tmp_path]) if one.name == "norse")
    assert norse.python == tmp_path / ".envs" / "norse" / "bin" / "python"
    assert not norse.own_interpreter
    assert norse.versions == {"norse": "1.1.1", "nirtorch": "2.6", "torch": "2.0", "nir": "1.0.4"}
    assert norse.installed


def test_a_distribution_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    make_environment(tmp_path, "norse", {"torch": "2.0"})
    norse = next(one for one in backends([tmp_path]) if one.name == "norse")
    assert not norse.installed
    assert norse.missing == ("norse", "nirtorch")
    assert norse.hint == "norse: norse, nirtorch not installed; run pip install 'nir-interop[norse]'"


def test_a_version_from_a_repository_names_its_commit(tmp_path: Path) -> None:
    site = make_environment(tmp_path, "norse", {"norse": "1.1.0"})
    (site / "norse-1.1.0.dist-info" / "direct_url.json").write_text(json.dumps(DIRECT))
    assert installed_versions(["norse"], [site]) == {"norse": "1.1.0+g065a3b45"}


def test_what_a_backend_asks_for_in_turn_counts_with_its_versions(tmp_path: Path) -> None:
    site = make_environment(
        tmp_path, "norse", {"norse": "1.1.1", "below.it": "3", "further": "4", "extra-only": "5", "other": "6"}
    )
    about = site / "norse-1.1.1.dist-info" / "METADATA"
    about.write_text(about.read_text() + 'Requires-Dist: below_it>=2\nRequires-Dist: extra-only; extra == "gpu"\n')
    (site / "below.it-3.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: below.it\nVersion: 3\nRequires-Dist: further (>=1); python_version > '3'\n"
        "Requires-Dist: norse\n\nRequires-Dist: other\n"
    )
    norse = next(one for one in backends([tmp_path]) if one.name == "norse")
    assert dependencies(norse) == {"norse": "1.1.1", "below-it": "3", "further": "4"}


def test_the_python_of_an_environment_is_what_that_says(tmp_path: Path) -> None:
    make_environment(tmp_path, "norse", {"norse": "1.1.1"})
    (tmp_path / ".envs" / "norse" / "pyvenv.cfg").write_text("home = /nowhere\nversion = 3.10.13\n")
    norse = next(one for one in backends([tmp_path]) if one.name == "norse")
    assert python_version(norse) == "3.10.13"
    assert python_version(backend("reference")) == platform.python_version()


def test_a_name_that_is_written_otherwise_is_told() -> None:
    with pytest.raises(UnknownName, match=r"no backend 'sc_neurocore'; .*; sc-neurocore is meant, perhaps"):
        backend("sc_neurocore")


def test_an_unknown_backend_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match=r"no backend 'brian'; there are .*norse"):
        backend("brian")
    assert isinstance(backend("exact"), Backend)


def test_what_a_backend_asks_for_is_its_extra_without_the_condition_that_makes_it_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = requirements("norse")
    assert asked[0].startswith("norse==")
    assert not any("extra" in line for line in asked)

    class Made:
        requires = (
            'mylib>=2 ; extra == "mylib"',
            'old==1; python_version < "3.11" and extra == "mylib"',
            'other; extra == "another"',
            "common",
        )

    point = environments.EntryPoint("mylib", "mylib_nir:MyLib [mylib]", environments.ENTRY_POINT_GROUP)
    monkeypatch.setattr(environments.EntryPoint, "dist", Made(), raising=False)
    assert environments._requirements(point) == ("mylib>=2", 'old==1; python_version < "3.11"')
    with pytest.raises(UnknownName):
        requirements("brian")
