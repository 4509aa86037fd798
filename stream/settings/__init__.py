"""The options of every command: declared once, grouped, named, and read from text."""
