"""This machine and this process: processors, memory, packages, libraries that speak."""
