"""The tests; a package, so that no installed package of that name can take its place."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is loaded: small matrices, and threads that wait for busy cores
