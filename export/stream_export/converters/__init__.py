"""One module per origin; `stream_export.registry` says what it must hold."""
