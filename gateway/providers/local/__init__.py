"""A small real model in a subprocess of our own."""
