"""The rules, pure: from dict to value, no I/O, no Pulumi, no SDK.

What may be typed (`inputs`, `cluster_fields`, `volume_fields`), what a change does (`changes`), how things are
named (`naming`), what the service's rows mean (`rows`, `status`), what a dollar is (`money`).
"""
