"""The service over HTTP: its routes, what goes wrong on the wire, and the journal of what was asked."""

CONTROL = "/mithril-fake/"
"""Where the control API begins; everything else is the service's, or the page."""
