"""``make bench``: measure the project's figures on this machine and print them beside their targets.

    python -m bench [matrix] [speed] [identify] [verdict] [reconcile] [primitives] [streaming] [unseen]

Everything is measured in a fresh folder; nothing under results/ is touched.  Quote medians, and on a quiet machine.
"""

from __future__ import annotations

import sys

from bench import identify, matrix, primitives, reconcile, speed, streaming, unseen, verdict
from bench.figures import Figure, show

SECTIONS = {
    "matrix": matrix.figures,
    "speed": speed.figures,
    "identify": identify.figures,
    "verdict": verdict.figures,
    "reconcile": reconcile.figures,
    "primitives": primitives.figures,
    "streaming": streaming.figures,
    "unseen": unseen.figures,
}


def main(wanted: list[str]) -> int:
    """Measure the sections named, or all."""
    unknown = [name for name in wanted if name not in SECTIONS]
    if unknown:
        print(f"bench: no section {unknown[0]!r}; there are {', '.join(SECTIONS)}", file=sys.stderr)
        return 2
    found: list[Figure] = []
    for name in wanted or list(SECTIONS):
        found += SECTIONS[name]()
    show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
