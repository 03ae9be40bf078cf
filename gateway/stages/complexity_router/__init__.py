"""The `complexity_router`: which tier a request needs."""
