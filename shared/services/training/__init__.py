"""Learning: which part of the log is learned next, how, and when; and a model learned anew."""
