"""What is planned, and what its parts are called."""

from __future__ import annotations

import dataclasses
import math

import pytest

from nir_interop.errors import UnknownName
from nir_interop.matrix.plan import ALL_DTS, CellJob, SourceJob, make_plan, parse_cell_id
from nir_interop.networks import names, twins
from tests.matrix import fakes

KNOWN = [fakes.backend(kind) for kind in (fakes.Honest, fakes.Wrong)]
SOURCE = SourceJob("mlp_lif", "portable", "honest", 1e-4)


def test_everything_is_planned_unless_something_is_asked_for() -> None:
    plan = make_plan(known=KNOWN)
    assert (plan.networks, plan.exporters, plan.importers, plan.dts) == (
        names(),
        ("honest", "wrong"),
        ("honest", "wrong"),
        (1e-4, 1e-3),
    )
    assert len(plan.sources("honest", ["tutorial", "portable"])) == 2 * len(names())
    assert len(plan.cells(SOURCE, exported=True)) == 4


def test_a_failed_export_is_one_cell_without_importer() -> None:
    (cell,) = make_plan(known=KNOWN).cells(SOURCE, exported=False)
    assert (cell.importer, cell.dt_import, cell.cell_id) == ("", None, "mlp_lif.portable.honest@0.0001.native.0")


def test_only_the_whole_matrix_is_the_default_one() -> None:
    assert make_plan().default
    assert not make_plan(networks=["mlp_lif"]).default
    assert not make_plan(dts=(1e-4,)).default
    assert not make_plan(seed=1).default


def test_all_backends_are_those_that_live_apart_as_well_at_the_step_of_the_export() -> None:
    plan, usual = make_plan(everything=True), make_plan()
    assert plan.everything and plan.whole and not plan.default
    assert set(plan.importers) > set(usual.importers) == {each.name for each in usual.backends.values() if not each.apart}
    assert (plan.importers, plan.dts) == (plan.exporters, ALL_DTS)
    assert [job.idiom for job in plan.sources("norse", ["tutorial", "portable"])] == ["portable"] * len(plan.networks)
    assert plan.networks == (*names(), *twins())
    assert not make_plan(everything=True, networks=["mlp_lif"]).whole
    assert not make_plan(everything=True, dts=(1e-3,)).whole
    label = dataclasses.replace(KNOWN[1], name="wrong==2")
    assert make_plan(everything=True, known=[*KNOWN, label]).importers == ("honest", "wrong")


@pytest.mark.parametrize("wanted", [{"networks": ["mlp"]}, {"exporters": ["brian"]}, {"importers": [""]}])
def test_an_unknown_name_is_refused_with_those_there_are(wanted: dict[str, list[str]]) -> None:
    with pytest.raises(UnknownName, match=r"no (network|backend) '.*'; there are .*(mlp_lif|honest, wrong)"):
        make_plan(known=KNOWN, **wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize("dt", [0.0, -1e-4, math.inf, math.nan])
def test_a_step_that_is_not_positive_is_refused(dt: float) -> None:
    with pytest.raises(UnknownName, match="positive number of seconds"):
        make_plan(known=KNOWN, dts=(dt,))


@pytest.mark.parametrize(
    "job",
    [
        CellJob(SOURCE, "wrong", 1e-3),
        CellJob(SOURCE, "wrong", 1e-5),
        CellJob(SOURCE, "wrong", 12.5),
        CellJob(SourceJob("rlif", "tutorial", "wrong", 1e-4, seed=12)),
    ],
)
def test_a_cell_is_found_again_by_its_name(job: CellJob) -> None:
    plan, found = parse_cell_id(job.cell_id, known=KNOWN)
    assert found == job
    assert found in plan.cells(found.source, exported=bool(job.importer))


@pytest.mark.parametrize(
    "name", ["", "mlp_lif", "mlp_lif.poetic.honest@0.0001>wrong@0.001.native.0", "../../x", "a.portable.b@x.native.0"]
)
def test_what_is_no_cells_name_is_refused(name: str) -> None:
    with pytest.raises(UnknownName, match=r"report\.csv"):
        parse_cell_id(name, known=KNOWN)
