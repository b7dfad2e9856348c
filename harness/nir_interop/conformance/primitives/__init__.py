"""The primitive table: small graphs of every NIR primitive and its aspects, and what each backend makes of them."""

from nir_interop.conformance.primitives.case import SUITE, Case
from nir_interop.conformance.primitives.cases import cases
from nir_interop.conformance.primitives.exporting import exported_rows
from nir_interop.conformance.primitives.judging import Judged, judge
from nir_interop.conformance.primitives.networks import ExportCase, networks
from nir_interop.conformance.primitives.running import measure, measure_all, rows_of
from nir_interop.conformance.primitives.vectors import write_vectors

__all__ = [
    "SUITE",
    "Case",
    "ExportCase",
    "Judged",
    "cases",
    "exported_rows",
    "judge",
    "measure",
    "measure_all",
    "networks",
    "rows_of",
    "write_vectors",
]
