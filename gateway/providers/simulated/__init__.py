"""A provider that invents its answers, and the laws it behaves by."""
