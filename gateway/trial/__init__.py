"""A policy tried out: the real door and chain, invented providers, no network and no waiting."""
