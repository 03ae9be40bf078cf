"""Failover: several targets for a request, one after the other, within one deadline and budget."""
