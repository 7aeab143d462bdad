"""Joined logs of others: dsjson as Azure Personalizer, its client libraries and Vowpal Wabbit's tools write it, read as joined events."""
