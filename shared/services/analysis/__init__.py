"""Analyses of the joined log: policies valued on it, a step at a time, and what comes of them."""
