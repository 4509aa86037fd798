"""The model contract, the catalogue, and the bundled model with its training."""
