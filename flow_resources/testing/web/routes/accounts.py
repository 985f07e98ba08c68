"""Paths of accounts: who asks, with whom they work, and the keys that they hold."""

from __future__ import annotations

from flow_resources.testing.web.routing import NO_CONTENT, Answer, Call, route


@route("GET", "/v2/me")
def me(call: Call) -> Answer:
    """Say whose key this is."""
    return 200, call.backend.accounts.profile(call.user.fid)


@route("GET", "/v2/me/teammates")
def teammates(call: Call) -> Answer:
    """List whoever shares a project with the caller."""
    return 200, call.backend.accounts.teammates(call.user)


# Not in the API's document: clients ask it who made a bid.
@route("GET", "/v2/users/{fid}")
def user(call: Call) -> Answer:
    """Say who somebody is."""
    return 200, call.backend.accounts.person(call.user, call.fid)


@route("GET", "/v2/projects")
def projects(call: Call) -> Answer:
    """List the projects of the key."""
    return 200, call.backend.accounts.projects(call.user)


@route("GET", "/v2/api-keys")
def list_api_keys(call: Call) -> Answer:
    """List the keys that the caller made."""
    return 200, call.backend.api_keys.listing(call.user)


@route("POST", "/v2/api-keys")
def create_api_key(call: Call) -> Answer:
    """Make a key; only this answer has its secret."""
    return 201, call.backend.api_keys.create(call.user, call.body, call.now)


@route("DELETE", "/v2/api-keys/{fid}")
def revoke_api_key(call: Call) -> Answer:
    """Revoke a key; revoking it twice is fine."""
    call.backend.api_keys.revoke(call.user, call.fid, call.now)
    return NO_CONTENT


@route("GET", "/v2/ssh-keys")
def list_ssh_keys(call: Call) -> Answer:
    """List the SSH keys of a project."""
    return 200, call.backend.accounts.ssh_keys(call.user, call.project())


@route("POST", "/v2/ssh-keys")
def create_ssh_key(call: Call) -> Answer:
    """Register a public key, or have a pair made."""
    return 201, call.backend.accounts.create_ssh_key(call.user, call.body, call.now)


@route("PATCH", "/v2/ssh-keys/{fid}")
def update_ssh_key(call: Call) -> Answer:
    """Change `required`."""
    return 200, call.backend.accounts.update_ssh_key(call.user, call.fid, call.body)


@route("DELETE", "/v2/ssh-keys/{fid}")
def delete_ssh_key(call: Call) -> Answer:
    """Forget a key that no live bid uses."""
    call.backend.accounts.delete_ssh_key(call.user, call.fid)
    return NO_CONTENT
