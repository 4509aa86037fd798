"""Files that are written whole or not at all, and which names are one file."""
