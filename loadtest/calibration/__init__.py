"""How well thresholds keep to a target: on prompts of your own, and while traffic drifts."""
