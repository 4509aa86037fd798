"""From a picture to its instances: providers, sessions, pre- and postprocessing."""
