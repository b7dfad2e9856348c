"""Isolation: jobs of libraries in warm processes of their own, replaced when they die or run late."""
