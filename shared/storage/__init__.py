"""Floor 2: the ports' real implementations on Table and Blob storage."""
