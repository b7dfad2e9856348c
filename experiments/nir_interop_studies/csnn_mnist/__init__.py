"""csnn_mnist: trained in one library, deployed in all."""

from nir_interop_studies.csnn_mnist.study import STUDY

__all__ = ["STUDY"]
