"""Loops: made, configured, looked after, and deleted."""
