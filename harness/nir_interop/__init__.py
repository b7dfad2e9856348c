"""nir-interop: what every NIR graph does in every spiking-network library, measured."""

__version__ = "0.1.0"
