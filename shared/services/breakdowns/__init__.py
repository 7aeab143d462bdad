"""Breakdowns: what was shown, to whom and what it earned, by action and by the values of a feature; counted by the trainer as it goes."""
