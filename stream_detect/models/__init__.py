"""Model bundles: a folder with a card and weights, found by name, checked by sha256, run by a backend."""
