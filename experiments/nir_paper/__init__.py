"""nir_paper: the published comparison of platforms, reproduced and sharpened."""

from experiments.nir_paper.study import STUDY

__all__ = ["STUDY"]
