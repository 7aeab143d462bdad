"""Runs the function app on a developer's machine: a small Functions host, and Azurite for its storage."""
