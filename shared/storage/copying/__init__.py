"""A whole deployment copied from one storage to another, above the ports: each part of it byte for byte, as often as one likes."""
