"""Training of the bundled model's architecture, on the project's data or a user's own."""
