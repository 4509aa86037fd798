"""Converters from trained models to the model contract, and tools around them."""
