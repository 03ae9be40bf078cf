"""Turnout: an LLM gateway. One base_url in front of every model, policies in YAML."""

__version__ = "0.1.0"
