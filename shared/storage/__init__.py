"""Floor 2: what is ours on three ports (`ports.py`), and an engine of its own under each of `azure` and `embedded`."""
