"""How much a stronger model is expected to help with a request: features, rules, a gain model."""
