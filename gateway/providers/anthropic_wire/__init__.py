"""Between the two dialects, without I/O: requests, replies and event streams, both ways."""
