"""The tables of ``results/``: their columns, and how they are written and read.

The lists of columns are plain data; pandas and pandera are imported where a table is read or written.
"""

from nir_interop.schema.columns import SEPARATOR, Column, Kind, Table
from nir_interop.schema.files import read_table, write_table, write_text
from nir_interop.schema.tables import DT_SWEEP, PRIMITIVES, REPORT, RULES, SOURCES, TABLES, TIMINGS

__all__ = [
    "DT_SWEEP",
    "PRIMITIVES",
    "REPORT",
    "RULES",
    "SEPARATOR",
    "SOURCES",
    "TABLES",
    "TIMINGS",
    "Column",
    "Kind",
    "Table",
    "read_table",
    "write_table",
    "write_text",
]
