"""The project's figures, measured: not tests, since a machine's speed is not a matter of right or wrong."""
