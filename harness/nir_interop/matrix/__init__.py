"""The matrix: what is planned, run in isolation, stored and put into tables."""
