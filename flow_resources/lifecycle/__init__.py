"""What a verb does, free of any host: an `Operation` and properties in, a result out.

`verbs` has the six verbs, one template for all kinds of resources: what every verb owes (registering secrets, guarding
the account, remembering what is declared, recording what was made) happens there. `resource` says what a kind of
resource is made of; `cluster` and `volume` are the kinds. Nothing here imports Pulumi: a host hands in the operation,
and turns the result into its own types.
"""
