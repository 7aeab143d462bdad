"""Tests of estimates, intervals and their sums."""
