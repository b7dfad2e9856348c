"""What ``import nir_interop`` gives, as the command line uses it: the functions, what they take, and what they answer."""
