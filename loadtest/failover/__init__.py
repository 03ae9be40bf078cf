"""What failover does for a pool of providers that has a bad day, in virtual time."""
