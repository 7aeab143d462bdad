"""Floor 2: one use case a module, written against ports; a folder for each group of them."""
