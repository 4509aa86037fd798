"""`python -m stream`: the command line."""

from stream.cli import main

main()
