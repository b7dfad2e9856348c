"""Where the environments of these tests lie, and which backends have to be in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nir_interop.backends.environments import PLACE, Backend, backends
from tests.places import ROOT

ENVIRONMENTS = Path(os.environ.get(PLACE) or ROOT / ".backends").resolve()
REQUIRED = "NIR_INTEROP_REQUIRE_BACKENDS"
"""The variable that names the backends, with commas between them, whose tests must not be skipped; ``all`` is every one."""


def apart(name: str) -> Backend:
    """A backend that is installed; else the test is skipped, or fails where the backend is required."""
    found = {each.name: each for each in backends()}
    if name in found and found[name].installed:
        return found[name]
    reason = f"no backend {name!r}" if name not in found else f"{found[name].hint} (looked in {ENVIRONMENTS})"
    if {name, "all"} & set(os.environ.get(REQUIRED, "").split(",")):
        pytest.fail(f"{reason}; {REQUIRED} asks for it", pytrace=False)
    pytest.skip(reason)
