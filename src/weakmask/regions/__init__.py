"""Where the regions of an image come from: read from a mask, found by a network, or by threshold."""
