"""The stages a policy's pipeline may name, in the order of a request."""
