"""What is required is not skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nir_interop.backends.environments import PLACE, backends
from tests.backends_apart.environments import ENVIRONMENTS, REQUIRED, apart


def test_environments_are_looked_for_in_one_folder() -> None:
    assert Path(os.environ[PLACE]) == ENVIRONMENTS


def test_a_backend_that_is_not_installed_is_skipped_with_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PLACE, str(tmp_path))
    monkeypatch.delenv(REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="run nir-interop backends install sinabs"):
        apart("sinabs")


@pytest.mark.parametrize("required", ["sinabs", "spyx,sinabs", "all"])
def test_a_required_backend_that_is_not_installed_is_a_failure(
    required: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PLACE, str(tmp_path))
    monkeypatch.setenv(REQUIRED, required)
    with pytest.raises(pytest.fail.Exception, match=f"sinabs not installed.*{REQUIRED} asks for it"):
        apart("sinabs")


def test_every_name_that_is_required_is_a_backend() -> None:
    required = set(filter(None, os.environ.get(REQUIRED, "").split(","))) - {"all"}
    assert required <= {each.name for each in backends()}
