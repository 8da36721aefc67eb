"""From a trained network to an activation map."""
