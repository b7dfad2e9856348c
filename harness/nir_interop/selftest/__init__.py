"""What shows that an installation works: ``pytest --pyargs nir_interop.selftest``, in any folder, with what is installed."""
