"""HTTP: evaluations and feature importances. Queue and timer: the work behind them."""
