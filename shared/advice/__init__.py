"""What keeps a loop from learning, and what should not be sent to it: judged from settings, counters and a sample of events."""
