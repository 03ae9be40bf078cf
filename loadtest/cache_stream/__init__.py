"""A stream of questions with near misses through the real semantic cache and its audits."""
