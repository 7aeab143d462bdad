"""Floor 3: settings, wiring, HTTP in and out."""
