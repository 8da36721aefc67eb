"""`python -m weakmask`, where the console script is not on the path."""

from weakmask.cli import main

if __name__ == "__main__":  # worker processes import this module too
    main()
