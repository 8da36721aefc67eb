"""What a scan is: voxels and where they lie in the patient."""
