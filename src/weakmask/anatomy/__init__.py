"""What a chest is, without any learning: lungs, airways, lobes, their numberings and faults."""
