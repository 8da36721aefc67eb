"""Volumes: voxels with their geometry, image files, resampling, tiles and morphology."""
