"""Vectors by scope, searched by cosine: plain matrices while small, FAISS above."""
