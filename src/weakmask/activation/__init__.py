"""Activation: maps and masks computed by a trained network."""
