"""The words of the house: what a request, a reply, a stage and an error are. No I/O here."""
