"""One module per origin; `stream.export.registry` says what it must hold."""
