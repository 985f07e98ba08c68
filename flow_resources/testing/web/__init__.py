"""The service over HTTP: its routes, what goes wrong on the wire, and the journal of what was asked."""
