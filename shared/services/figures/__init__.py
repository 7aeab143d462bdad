"""Live figures: what learned events earned and what other policies would have, counted by the trainer as it goes, window by window."""
