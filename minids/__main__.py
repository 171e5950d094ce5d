"""`python -m minids` is `minids`."""

from minids.cli import main

main()
