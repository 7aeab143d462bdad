"""Logs of others: read, counted, and learned by a loop."""
