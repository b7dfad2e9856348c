"""A cell at another step than the export's: the caller's setting, and beside it what is wrong at the export's own."""

from __future__ import annotations

from typing import Any

from nir_interop.matrix.results import _assign_blame


def row(dt_import: float, **values: Any) -> dict[str, Any]:
    base = {
        "network": "net", "idiom": "portable", "exporter": "a", "importer": "b", "dt_export": 1e-4, "seed": 0, "mode": "native",
        "dt_import": dt_import, "status": "mismatch", "error_type": None, "error_message": None, "error_at": None,
        "explained": 1.0,
    }  # fmt: skip
    return base | values


def blamed(at_export: dict[str, Any], elsewhere: dict[str, Any]) -> tuple[str, str | None]:
    _assign_blame([at_export, elsewhere])
    return elsewhere["blame"], elsewhere["causes"]


def test_what_is_right_at_the_step_of_the_export_is_the_setting_s_alone() -> None:
    other = row(1e-3, blame="setting", causes="dt_requested")
    assert blamed(row(1e-4, status="exact", blame="none", causes=None), other) == ("setting", "dt_requested")


def test_an_importer_that_is_wrong_at_the_step_of_the_export_too_is_named_beside_the_setting() -> None:
    other = row(1e-3, blame="setting+importer", causes="resistance_ignored;dt_requested")
    own = row(1e-4, blame="importer", causes="resistance_ignored")
    assert blamed(own, other) == ("setting+importer", "resistance_ignored;dt_requested")


def test_a_fault_that_another_step_hides_is_named_with_its_owner() -> None:
    other = row(1e-3, status="refused", error_type="ValueError", blame="setting", causes="dt_requested")
    assert blamed(row(1e-4, blame="exporter", causes="parameter_lost"), other) == (
        "setting+exporter",
        "dt_requested;parameter_lost",
    )
    other = row(1e-3, blame="setting+importer", causes="dt_requested;start")
    assert blamed(row(1e-4, blame="exporter", causes="parameter_lost"), other)[0] == "setting+both"


def test_what_nobody_is_to_blame_for_is_the_setting_s_alone() -> None:
    other = row(1e-3, blame="setting", causes="discretisation;dt_requested")
    assert blamed(row(1e-4, blame="format", causes="discretisation"), other) == ("setting", "discretisation;dt_requested")
