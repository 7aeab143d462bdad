"""The operator's command line: thin commands over the use cases of `shared.services`."""
