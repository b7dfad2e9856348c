"""Known issues come with a backend's package, and are about that backend alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from nir_interop.errors import BadInput
from nir_interop.matrix.known_issues import every, load, mark
from tests.cli.fake_packages import backends_in
from tests.matrix.test_known_issues import ENTRY, row, write


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = backends_in(tmp_path / "site", {"honest": "fake_adapters.fakes:Honest"})
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return found


def test_a_package_brings_its_backends_issues(package: Path) -> None:
    assert every() == load()
    write(package, ENTRY | {"id": "honest-drops-pooling", "backend": "honest", "versions": ["1.0"]})
    assert [each.id for each in every()[len(load()) :]] == ["honest-drops-pooling"]
    source = {"exporter": "reference", "exporter_version": "1"}
    rows = [row(importer="honest", importer_version=version, **source) for version in ("1.0", "2.0")]
    mark(rows, every())
    assert [each["known_issue"] for each in rows] == ["honest-drops-pooling", None]


def test_it_says_nothing_of_others_and_takes_no_id_that_is_used(package: Path) -> None:
    write(package, ENTRY)
    with pytest.raises(BadInput, match=r"issue 'drops-pooling' is about norse; its package brings honest"):
        every()
    write(package, ENTRY | {"id": load()[0].id, "backend": "honest"})
    with pytest.raises(BadInput, match="is used elsewhere; begin it with honest-"):
        every()
