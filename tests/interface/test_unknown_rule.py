"""A backend whose neurons are stepped under no rule that there is: every verb says so, and none names a cause."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nir
import numpy as np
import pytest

import nir_interop as ni
from nir_interop.errors import NotReconciled
from nir_interop.rule import AXES
from nir_interop.vocabulary import Blame, Cause
from tests.interface.adaptive_backend import NAME, install

SIZE = 4
UNKNOWN = "no rule found: the closest differs in "


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The backend is installed; its folder, with a store that knows it."""
    folder = tmp_path_factory.mktemp("adaptive")
    install(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("NIR_INTEROP_STORE", str(folder / "store"))
        yield folder


@pytest.fixture
def graph() -> nir.NIRGraph:
    full = np.ones(SIZE, dtype=np.float32)
    lif = nir.LIF(tau=full * 2e-3, r=full * 5, v_leak=full * 0, v_threshold=full, v_reset=full * 0)
    weights = nir.Affine(weight=np.eye(SIZE, dtype=np.float32) * 2, bias=full * 0.25)
    nodes = {"input": nir.Input(np.array([SIZE])), "fc": weights, "lif": lif, "output": nir.Output(np.array([SIZE]))}
    return nir.NIRGraph(nodes, [("input", "fc"), ("fc", "lif"), ("lif", "output")])


@pytest.mark.slow
def test_rules_say_that_none_is_known(made: Path) -> None:
    found = ni.rules(NAME)
    for kind in ("IF", "LIF", "CubaLIF"):
        facts = found.to_dict()[NAME]["import"][kind]
        assert facts["says"].startswith(UNKNOWN)
        assert facts["mismatched"] > 0
        assert {facts[axis.name] for axis in AXES} == {None}
    frame = found.to_frame()
    row = frame[(frame.backend == NAME) & (frame.side == "import") & (frame.primitive == "LIF")].iloc[0]
    assert row.says.startswith(UNKNOWN)
    assert all(row[axis.name] is None or row[axis.name] != row[axis.name] for axis in AXES)
    assert ni.rules(NAME).to_dict()[NAME]["import"]["LI"]["decay"] == "euler", "it has no threshold"


def test_check_says_that_outputs_differ_and_why_is_not_said(made: Path, graph: nir.NIRGraph) -> None:
    one = ni.check(graph, dt=1e-3, backends=[NAME])[NAME]
    assert one.mismatched


def test_explain_names_no_cause(made: Path, graph: nir.NIRGraph) -> None:
    found = ni.explain(graph, backend=NAME, dt=1e-3).to_dict()
    assert [each["cause"] for each in found["causes"]] == [Cause.UNEXPLAINED]
    assert found["causes"][0]["says"].startswith(f"LIF: {UNKNOWN}")
    assert found["explained"] < 1
    assert found["blame"] in (Blame.IMPORTER, Blame.UNEXPLAINED)
    assert {key: value for key, value in found["rule"]["LIF"].items() if key != "says"} == {}


def test_reconcile_says_that_no_rule_is_known_and_writes_nothing(made: Path, graph: nir.NIRGraph, tmp_path: Path) -> None:
    found = ni.reconcile(graph, to=NAME, dt=1e-3)
    assert not found.right
    assert [each.cause for each in found.remaining] == [Cause.UNEXPLAINED]
    assert f"LIF: {UNKNOWN}" in found.remaining[0].text
    with pytest.raises(NotReconciled, match="no rule found"):
        found.write(tmp_path / "out.nir")
    assert not (tmp_path / "out.nir").exists()
