"""The least a logging function app does: the floor that Rank is compared with."""
