"""Model bundles: a folder with a card (the contract) and weights, found by name, checked by sha256, run by a backend."""
