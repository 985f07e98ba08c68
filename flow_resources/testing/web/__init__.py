"""The cloud over HTTP: the routes of the API, the control API, the page, faults, and the log of requests."""

CONTROL = "/mithril-fake/"
"""The path prefix of the control API; all other paths are those of the API and of the page."""
