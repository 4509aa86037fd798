"""What people read: numbers, names, addresses and tables."""
