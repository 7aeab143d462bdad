"""Black-box tests: every one of them speaks HTTP to the app, behind both kinds of host."""
