"""Open Personalizer's rooms, floor by floor: domain, learning and joining, services with storage and api, runtime."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
"""Read when numpy is loaded, which is after this. Small matrices take several times as long with two threads, which wait for each
other; and a model's bytes would depend on how many cores there are."""
