"""Load on loopback: what Turnout costs and how it behaves under pressure."""
