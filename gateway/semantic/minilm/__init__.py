"""all-MiniLM-L6-v2 (sentence-transformers, Apache-2.0), quantised by ourselves, without torch."""

from typing import Final

WEIGHTS_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
RECIPE: Final = "w7a8-1"
"""Names our way of quantising. Another way = another name, and the graph is built again."""
DIMENSIONS: Final = 384
WINDOW: Final = 256
"""Tokens that it reads of a text, the first and the last mark included."""
