"""``python -m nir_interop`` is ``nir-interop``."""

from nir_interop.cli import main

main()
