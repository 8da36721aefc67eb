"""Training: one loop that every method uses, with batches, checkpoints, seeds and curves."""
