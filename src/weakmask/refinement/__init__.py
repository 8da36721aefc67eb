"""From an activation map to a mask."""
