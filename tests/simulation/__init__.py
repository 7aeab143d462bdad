"""A machine that looks for faults: the service on storage in memory, in virtual time, with interleavings and failures drawn by a seed."""
