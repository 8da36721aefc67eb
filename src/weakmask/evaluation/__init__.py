"""Masks against truth, methods against methods."""
