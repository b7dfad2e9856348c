"""nmnist_transfer: from Norse to snnTorch and back, on event frames."""

from nir_interop_studies.nmnist_transfer.study import STUDY

__all__ = ["STUDY"]
