"""The commands, a module for each group of them; `stream.cli` puts them together."""
