"""One training loop, used by every method."""
