"""The Functions host's side of the protocol that it speaks with its workers, and a small worker of the tests' own."""
