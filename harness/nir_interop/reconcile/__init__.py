"""Graphs rewritten so that a target computes what a source computed."""
