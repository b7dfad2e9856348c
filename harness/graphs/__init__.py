"""NIR files: safe reading, own validation, canonical form and hash, structural difference."""

from __future__ import annotations

from harness.graphs.canonical import canonical, digest
from harness.graphs.components import components
from harness.graphs.difference import Difference, difference
from harness.graphs.inlining import inline
from harness.graphs.matching import correspondence
from harness.graphs.meant import as_meant, read_meant
from harness.graphs.metadata import with_metadata_of
from harness.graphs.model import NEURONS, SPIKING, STATELESS, Array, Graph, Node, as_array
from harness.graphs.naming import early, in_order, nest, nested, renamed, with_safe_names
from harness.graphs.reading import read
from harness.graphs.shapes import padding_of, whole_numbers
from harness.graphs.validation import Shapes, validate
from harness.graphs.writing import from_nir, to_nir, write
from harness.wording import listed

__all__ = [
    "NEURONS",
    "SPIKING",
    "STATELESS",
    "Array",
    "Difference",
    "Graph",
    "Node",
    "Shapes",
    "as_array",
    "as_meant",
    "canonical",
    "components",
    "correspondence",
    "difference",
    "digest",
    "early",
    "from_nir",
    "in_order",
    "inline",
    "listed",
    "nest",
    "nested",
    "padding_of",
    "read",
    "read_meant",
    "renamed",
    "to_nir",
    "validate",
    "whole_numbers",
    "with_metadata_of",
    "with_safe_names",
    "write",
]
