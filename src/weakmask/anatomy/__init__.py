"""Chest anatomy without learning: lung field, airways, lobes, lobe numberings and lobe faults."""
