"""csnn_mnist: trained in one library, deployed in all."""

from experiments.csnn_mnist.study import STUDY

__all__ = ["STUDY"]
