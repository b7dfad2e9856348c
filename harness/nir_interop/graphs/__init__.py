"""NIR files: safe reading, own validation, canonical form and hash, structural difference."""

from __future__ import annotations

from nir_interop.graphs.canonical import canonical, digest
from nir_interop.graphs.components import components, unfed_cycles
from nir_interop.graphs.corrections import corrected, read_assumed, read_corrected
from nir_interop.graphs.difference import Difference, difference
from nir_interop.graphs.ends import input_shapes, places, sample_shape
from nir_interop.graphs.fitting import without_batch
from nir_interop.graphs.inlining import Place, flatten, inline, placed
from nir_interop.graphs.matching import correspondence
from nir_interop.graphs.metadata import with_metadata_of
from nir_interop.graphs.model import NEURONS, SPIKING, STATELESS, Array, Graph, Node, as_array
from nir_interop.graphs.naming import early, in_order, nest, nested, renamed, with_safe_names
from nir_interop.graphs.reading import read, read_told
from nir_interop.graphs.shapes import padding_of, whole_numbers
from nir_interop.graphs.upgrading import Change, in_form, upgraded
from nir_interop.graphs.validation import Shapes, validate
from nir_interop.graphs.writing import from_nir, to_nir, write
from nir_interop.printable import listed

__all__ = [
    "NEURONS",
    "SPIKING",
    "STATELESS",
    "Array",
    "Change",
    "Difference",
    "Graph",
    "Node",
    "Place",
    "Shapes",
    "as_array",
    "canonical",
    "components",
    "corrected",
    "correspondence",
    "difference",
    "digest",
    "early",
    "flatten",
    "from_nir",
    "in_form",
    "in_order",
    "inline",
    "input_shapes",
    "listed",
    "nest",
    "nested",
    "padding_of",
    "placed",
    "places",
    "read",
    "read_assumed",
    "read_corrected",
    "read_told",
    "renamed",
    "sample_shape",
    "to_nir",
    "unfed_cycles",
    "upgraded",
    "validate",
    "whole_numbers",
    "with_metadata_of",
    "with_safe_names",
    "without_batch",
    "write",
]
