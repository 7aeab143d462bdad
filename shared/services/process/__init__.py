"""What the parts of one process share: its memory, its threads and its turns."""
