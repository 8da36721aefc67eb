"""`python -m weakmask`, where the console script is not on the path."""

from weakmask.cli import main

main()
