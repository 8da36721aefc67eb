"""Synthetic images with known truth, made from a seed."""
