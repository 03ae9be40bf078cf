"""The door: HTTP in, HTTP out, nothing about models or money."""
