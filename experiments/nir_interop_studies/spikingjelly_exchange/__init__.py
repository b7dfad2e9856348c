"""spikingjelly_exchange: every promise of SpikingJelly's exchange with NIR, held to account."""

from nir_interop_studies.spikingjelly_exchange.study import STUDY

__all__ = ["STUDY"]
