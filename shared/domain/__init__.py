"""Floor 0: frozen data, ports, errors and the clock; the standard library only."""
