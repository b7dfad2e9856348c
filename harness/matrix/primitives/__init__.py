"""The primitive table: small graphs of every NIR primitive and its aspects, and what each backend makes of them."""

from harness.matrix.primitives.case import SUITE, Case
from harness.matrix.primitives.cases import cases
from harness.matrix.primitives.exporting import exported_rows
from harness.matrix.primitives.judging import Judged, judge
from harness.matrix.primitives.networks import ExportCase, networks
from harness.matrix.primitives.running import measure, measure_all, rows_of
from harness.matrix.primitives.vectors import write_vectors

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
