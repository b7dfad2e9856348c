"""``python -m harness`` is ``nir-interop``."""

from harness.cli import main

main()
