"""Phantoms: synthetic images with known truth, generated from a seed."""
