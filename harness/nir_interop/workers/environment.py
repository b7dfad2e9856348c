"""What workers find around them: the variables that they begin with, and what they can import.

Nothing else of this project is imported here, so that a process can be started before the run has imported anything.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nir_interop.backends.environments import Backend

MEMORY = "NIR_INTEROP_MEMORY"
"""The variable that says how many bytes a worker may take."""
SAME_SUMS = {
    "OMP_NUM_THREADS": "1",
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",
}
"""Of each processor what all of them have, and one thread.

Torch's own kernels, MKL, oneDNN and NumPy otherwise take the widest instructions that there are, and add up in another order.
"""
ENVIRONMENT = {
    **SAME_SUMS,
    "PYTHONHASHSEED": "0",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONIOENCODING": "utf-8",
    "PYTHONOPTIMIZE": "",
    "PYTHONSAFEPATH": "1",
    "PYTHONWARNINGS": "",
}
"""What makes a library's answer the same wherever it runs."""

LARGEST_MESSAGE = 2**16
"""Bytes of a message to the process that workers are forked from."""
LONGEST_FOLDER = 1024
"""Bytes that the name of a forked worker's folder may have."""


def importable(folder: Path, *backends: Backend) -> Path:
    """A folder with nothing but links to this project's packages, and to those of backends' adapters.

    The folder they lie in may hold packages that another environment must not see.
    """
    place = folder / "path"
    place.mkdir()
    adapters = {each.module.split(".")[0].split(":")[0] for each in backends if not each.search}
    for name in sorted({"nir_interop", *adapters}):
        found = importlib.util.find_spec(name)
        locations = list(found.submodule_search_locations or ()) if found is not None else []
        if locations:
            (place / name).symlink_to(Path(locations[0]).resolve(), target_is_directory=True)
        elif found is not None and found.has_location and found.origin:  # an adapter that is one file
            (place / Path(found.origin).name).symlink_to(Path(found.origin).resolve())
    return place
