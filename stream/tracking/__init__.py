"""What is known of objects over time."""
