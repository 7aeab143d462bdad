"""Floor 1: decisions and observations to joined events, and their log format; no input or output."""
