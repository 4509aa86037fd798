"""The layers, one module each: its name is the layer's name."""
