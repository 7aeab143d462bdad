"""Floor 2: the wire format, as pydantic models."""
