"""The ways of laying out a training set that are known: one module each."""
