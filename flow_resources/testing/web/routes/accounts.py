"""Routes of users, projects, API keys and SSH keys."""

from __future__ import annotations

from flow_resources.testing.web.routing import NO_CONTENT, Call, Result, route


@route("GET", "/v2/me")
def me(call: Call) -> Result:
    """Return the user of the API key."""
    return 200, call.backend.accounts.profile(call.user.fid)


@route("GET", "/v2/me/teammates")
def teammates(call: Call) -> Result:
    """List the users who share a project with the caller."""
    return 200, call.backend.accounts.teammates(call.user)


# Not in the OpenAPI document; clients use it to show who created a bid.
@route("GET", "/v2/users/{fid}")
def user(call: Call) -> Result:
    """Return a user."""
    return 200, call.backend.accounts.visible_profile(call.user, call.fid)


@route("GET", "/v2/projects")
def projects(call: Call) -> Result:
    """List the projects that the caller has access to."""
    return 200, call.backend.accounts.projects(call.user)


@route("GET", "/v2/api-keys")
def list_api_keys(call: Call) -> Result:
    """List the API keys that the caller created."""
    return 200, call.backend.api_keys.listing(call.user, call.backend.options.listed_until(call.now))


@route("POST", "/v2/api-keys")
def create_api_key(call: Call) -> Result:
    """Create an API key; only this response has its secret."""
    return 201, call.backend.api_keys.create(call.user, call.body, call.now)


@route("DELETE", "/v2/api-keys/{fid}")
def revoke_api_key(call: Call) -> Result:
    """Revoke an API key; no effect if it is revoked."""
    call.backend.api_keys.revoke(call.user, call.fid, call.now)
    return NO_CONTENT


@route("GET", "/v2/ssh-keys")
def list_ssh_keys(call: Call) -> Result:
    """List the SSH keys of a project."""
    until = call.backend.options.listed_until(call.now)
    return 200, call.backend.accounts.ssh_keys(call.user, call.project(), until)


@route("POST", "/v2/ssh-keys")
def create_ssh_key(call: Call) -> Result:
    """Register a public key, or generate a pair."""
    return 201, call.backend.accounts.create_ssh_key(call.user, call.body, call.now)


@route("PATCH", "/v2/ssh-keys/{fid}")
def update_ssh_key(call: Call) -> Result:
    """Change `required` of an SSH key."""
    return 200, call.backend.accounts.update_ssh_key(call.user, call.fid, call.body)


@route("DELETE", "/v2/ssh-keys/{fid}")
def delete_ssh_key(call: Call) -> Result:
    """Delete an SSH key that no live bid or reservation uses."""
    call.backend.accounts.delete_ssh_key(call.user, call.fid)
    return NO_CONTENT
