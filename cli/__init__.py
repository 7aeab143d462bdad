"""The operator's command line: thin commands over the use cases of `shared.services`, or over the service's own HTTP interface."""
