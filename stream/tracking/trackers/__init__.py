"""The trackers there are, a module each."""
