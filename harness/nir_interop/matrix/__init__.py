"""The matrix: what is planned, run in isolation, stored and put into tables.

Modules that run inside a backend's environment (``worker``, ``job``, ``repeats``, ``capture``, ``messages``, ``arrays``)
need Python 3.10, numpy, nir and the adapter; nothing is imported here, so that they stay light.
"""
