"""`python -m minids` runs the `minids` command."""

from minids.cli import main

main()
