"""Where scans and labels come from."""
