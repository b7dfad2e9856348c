"""Where this checkout's sources lie, for tests that start processes."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (ROOT / "harness", ROOT / "adapters", ROOT / "experiments")
"""Each holds one package."""
PYTHONPATH = os.pathsep.join(map(str, (ROOT, *SOURCES)))
"""With these sources first, whatever is installed; ``tests`` is a package of it, too."""
