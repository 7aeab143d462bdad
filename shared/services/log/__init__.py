"""What was logged: its extent, what became of an event, copies of it, and its removal."""
