"""State in Redis or Valkey, shared by many nodes. The door to the redis library."""
