"""Stored answers: exact ones first, then near ones behind gates."""
