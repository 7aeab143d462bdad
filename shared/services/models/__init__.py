"""Versions of the model: written, handed out, brought back, compared with the log, and removed."""
