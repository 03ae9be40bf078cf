"""Whether a dearer tier is better, by pairs of outcomes for the same request."""
