"""The primitive table: small graphs of every NIR primitive and its aspects, and what each backend makes of them."""

from nir_interop.conformance.primitives.cases import SUITE, PrimitiveCase, cases
from nir_interop.conformance.primitives.judging import Judged, judge
from nir_interop.conformance.primitives.networks import ExportCase, networks
from nir_interop.conformance.primitives.running import exported_rows, measure, measure_all, rows_of
from nir_interop.conformance.primitives.vectors import write_vectors

__all__ = [
    "SUITE",
    "ExportCase",
    "Judged",
    "PrimitiveCase",
    "cases",
    "exported_rows",
    "judge",
    "measure",
    "measure_all",
    "networks",
    "rows_of",
    "write_vectors",
]
