"""How the router learns from its own traffic where one tier ends and the next begins."""
