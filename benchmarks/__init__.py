"""Speed, always as a ratio to a floor measured in the same run; ``python -m benchmarks`` runs it."""

import shared  # noqa: F401  # before numpy: it says with how many threads
