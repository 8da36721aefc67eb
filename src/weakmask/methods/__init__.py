"""A folder is a paper; its files are its stages."""
