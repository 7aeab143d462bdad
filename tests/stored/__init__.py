"""What releases wrote into storage, and that it is read for ever; README.md tells what is where."""
