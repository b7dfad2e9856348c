"""nir_paper: the published comparison of platforms, reproduced and sharpened."""

from nir_interop_studies.nir_paper.study import STUDY

__all__ = ["STUDY"]
