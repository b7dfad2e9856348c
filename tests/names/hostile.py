"""Names that are code, markup, commands or something else to whoever takes them for more than names, and graphs of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from nir_interop.graphs import Graph, Node
from tests.strategies import node, port

CANARY = "NIR_INTEROP_TEST_CANARY"
"""The variable that names the file which a payload writes."""
_WRITES = f'getattr(open(getattr(__import__("os"), "environ")["{CANARY}"], "w"), "close")()'

IN_A_STRING = f'training"), {_WRITES}, getattr(self, "named_modules'
"""Ends the string and the call that nirtorch writes a name into, runs an expression, and begins another."""
PAYLOADS = (
    IN_A_STRING,
    f"""x'), {_WRITES}, ('""",
    f'x"""); {_WRITES}; ("""',
    f"0\n    {_WRITES}\n    0",
    f"{_WRITES}",
    f"{{{_WRITES}}}",
    f"{{{{ cycler and {_WRITES} }}}}",
    f"$(touch ${CANARY})",
    f"`touch ${CANARY}`",
    f"; touch ${CANARY} #",
)
"""Names that write the file wherever they are run: in Python, in a template, in a shell."""
ODD = (
    "__class__", "__reduce__", "_modules", "forward", "training", "state", "self", "if", "None", "lambda", "0", "1.5", "lif-1",
    "a b", "\x1b[31mred\x1b]0;title\x07", "<img src=x onerror=alert(1)>", "=cmd|calc!A0", "@SUM(1)", "..", "%s{0.__class__}",
    "é", "[x](javascript:alert(1))", "x" * 300, "\u202egnp", "initialized_state", "$template", "a|b", "-o", "a..b", "\\",
)  # fmt: skip
"""Names that mean something else to a module, a keyword table, a terminal, a page, a spreadsheet or a path."""
NAMES = (*PAYLOADS, *ODD)


def hostile_graph(names: Sequence[str] = NAMES, size: int = 3, *, said: bool = True) -> Graph:
    """Input → one node of each name, layers and neurons in turn → Output; every library takes all of them.

    said : whether its metadata are hostile in keys and in texts, too
    """
    rng = np.random.default_rng(0)
    nodes: dict[str, Node | Graph] = {"input": port("Input", size)}
    for number, name in enumerate(names):
        if number % 2:
            values = {"tau": 1e-3, "r": 10.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
            nodes[name] = node("LIF", **{key: np.full(size, value, np.float32) for key, value in values.items()})
        else:
            nodes[name] = node("Linear", weight=np.float32(rng.uniform(0.3, 0.9, (size, size))))
    nodes["output"] = port("Output", size)
    metadata = {name: name for name in PAYLOADS} if said else {}
    first = next(iter(names), None)
    if first is not None:
        nodes[first] = Node(nodes[first].kind, nodes[first].params, metadata)  # type: ignore[union-attr]
    return Graph(nodes, tuple(pairwise(nodes)), metadata)
