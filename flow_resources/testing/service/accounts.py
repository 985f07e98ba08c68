"""Who may see what: keys, the users behind them, projects, and the SSH keys that projects hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from flow_resources.testing.service.errors import BadRequestError, ForbiddenError, NotFoundError, UnauthorizedError
from flow_resources.testing.service.inputs import Body
from flow_resources.testing.service.keypair import make_key_pair
from flow_resources.testing.service.notation import write_time
from flow_resources.testing.service.store import Row, Store

_PUBLIC_KEY = r"(ssh-[a-z0-9]+|ecdsa-sha2-[a-z0-9-]+|sk-[a-z0-9@.-]+) [A-Za-z0-9+/=]+( .*)?\s*"
_OWNER = (
    "SELECT fid FROM users WHERE key_hash = ? UNION ALL"
    " SELECT user FROM api_keys WHERE key_hash = ? AND deactivated_at IS NULL AND expires_at > ?"
)
_KEY_USERS = (
    "SELECT fid FROM bids WHERE project = ? AND status != 'Terminated' AND instr(ssh_keys, ?) UNION ALL"
    " SELECT fid FROM reservations WHERE project = ? AND status != 'Ended' AND instr(ssh_keys, ?)"
)
ORGANIZATION = "org_000001"


@dataclass(frozen=True)
class User:
    """Whoever asks: the owner of a key, or the operator at the console, who may see everything."""

    fid: str
    projects: frozenset[str]
    everything: bool = False

    def may_see(self, project: str) -> bool:
        """Say whether the project is theirs."""
        return self.everything or project in self.projects

    def visible(self, row: Row | None, what: str) -> Row:
        """Return a row with a project of theirs. Raises NotFoundError for any other, as if it did not exist."""
        if row is None or not self.may_see(row["project"]):
            msg = f"{what} not found"
            raise NotFoundError(msg)
        return row


OPERATOR = User("user_console", frozenset(), everything=True)
"""The Python API of the fake: it acts behind every account's back."""


class Accounts:
    """Keys, users, projects and SSH keys."""

    def __init__(self, store: Store) -> None:
        """Work on the tables of `store`."""
        self._store = store

    def identify(self, authorization: str | None, now: float) -> User:
        """Return whose key it is. Raises UnauthorizedError without a key, or with one that is not good."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            msg = "Not authenticated"
            raise UnauthorizedError(msg)
        digest = digest_of(key.strip())
        user = self._store.value(_OWNER, digest, digest, now)
        if user is None:
            msg = "Invalid API key"
            raise UnauthorizedError(msg)
        rows = self._store.rows("SELECT project FROM grants WHERE user = ?", user)
        return User(user, frozenset(row["project"] for row in rows))

    def add_key(self, key: str, projects: Iterable[str]) -> str:
        """Let `key` see the projects too, and return its user."""
        digest = digest_of(key)
        user: str | None = self._store.value("SELECT fid FROM users WHERE key_hash = ?", digest)
        if user is None:
            user = self._store.next_fid("user")
            self._store.run("INSERT INTO users VALUES (?, ?)", user, digest)
        for project in projects:
            self._store.run("INSERT OR IGNORE INTO grants VALUES (?, ?)", user, self.find_project(project)["fid"])
        return user

    def add_project(self, name: str, now: float) -> Row:
        """Return the project of that name, made if need be."""
        if self._store.row("SELECT 1 FROM projects WHERE name = ?", name) is None:
            self._store.run("INSERT INTO projects VALUES (?, ?, ?)", self._store.next_fid("proj"), name, now)
        return self.find_project(name)

    def find_project(self, spec: str) -> Row:
        """Return the project of that name or id."""
        found = self._store.row("SELECT * FROM projects WHERE fid = ? OR name = ?", spec, spec)
        if found is None:
            msg = f"Project {spec} not found"
            raise NotFoundError(msg)
        return found

    def require_project(self, user: User, fid: str) -> None:
        """Raise NotFoundError for a project that does not exist, ForbiddenError for one of somebody else."""
        if self._store.row("SELECT 1 FROM projects WHERE fid = ?", fid) is None:
            msg = f"Project {fid} not found"
            raise NotFoundError(msg)
        if not user.may_see(fid):
            msg = f"No access to project {fid}"
            raise ForbiddenError(msg)

    def projects(self, user: User) -> list[dict[str, Any]]:
        """Return the projects of a user."""
        rows = self._store.rows("SELECT * FROM projects ORDER BY fid")
        return [project_row(row) for row in rows if user.may_see(row["fid"])]

    def profile(self, fid: str) -> dict[str, Any]:
        """Return a user as /v2/me shows them."""
        name = fid.replace("_", "-")
        return {
            "id": fid,
            "fid": fid,
            "email": f"{name}@example.com",
            "user_name": name,
            "organization_id": ORGANIZATION,
            "organization_role": "Administrator",
        }

    def person(self, user: User, fid: str) -> dict[str, Any]:
        """Return the profile of somebody who has a project in common with the user, or of the console."""
        if fid != OPERATOR.fid and fid not in self._colleagues(user):
            msg = f"User {fid} not found"
            raise NotFoundError(msg)
        return self.profile(fid)

    def teammates(self, user: User) -> list[dict[str, Any]]:
        """Return everybody who has a project in common with the user, and the user, as TeammateResponse."""
        names = ("id", "fid", "user_name", "email", "organization_role")
        return [
            {**{name: self.profile(fid)[name] for name in names}, "project_ids": shared, "deactivated_at": None}
            for fid, shared in self._colleagues(user).items()
        ]

    def ssh_keys(self, user: User, project: str | None) -> list[dict[str, Any]]:
        """Return the SSH keys of one project, or of all that the user sees."""
        if project is not None:
            self.require_project(user, project)
        rows = self._store.rows("SELECT * FROM ssh_keys WHERE coalesce(?, project) = project ORDER BY seq", project)
        return [ssh_key_row(row) for row in rows if user.may_see(row["project"])]

    def create_ssh_key(self, user: User, raw: object, now: float) -> dict[str, Any]:
        """Keep a public key, or make a pair and give the private half away once."""
        body = Body(raw)
        project, name = body.text("project"), body.text("name", longest=256)
        public, private = None, None
        if body.has("public_key"):
            public = body.text("public_key", pattern=_PUBLIC_KEY)
        required = body.flag("required", default=False)
        body.done()
        self.require_project(user, project)
        if public is None:
            public, private = make_key_pair(name)
        fid = self._store.next_fid("sshkey")
        columns = {"name": name, "public_key": public.strip(), "required": required, "created_at": now}
        self._store.insert("ssh_keys", fid=fid, project=project, **columns)
        return {**ssh_key_row(self.ssh_key(user, fid)), "private_key": private}

    def ssh_key(self, user: User, fid: str) -> Row:
        """Return one SSH key that the user may see."""
        found = self._store.row("SELECT * FROM ssh_keys WHERE fid = ?", fid)
        return user.visible(found, f"SSH key {fid}")

    def check_ssh_keys(self, user: User, fids: Sequence[str], project: str) -> None:
        """Raise NotFoundError for a key that machines of the project cannot be launched with."""
        for fid in fids:
            if self.ssh_key(user, fid)["project"] != project:
                msg = f"SSH key {fid} not found"
                raise NotFoundError(msg)

    def update_ssh_key(self, user: User, fid: str, raw: object) -> dict[str, Any]:
        """Change whether every bid of the project must carry the key."""
        body = Body(raw)
        required = body.flag("required")
        body.done()
        self.ssh_key(user, fid)
        self._store.run("UPDATE ssh_keys SET required = ? WHERE fid = ?", required, fid)
        return ssh_key_row(self.ssh_key(user, fid))

    def delete_ssh_key(self, user: User, fid: str) -> None:
        """Forget a key, unless a bid or a reservation that has not ended was launched with it."""
        key = self.ssh_key(user, fid)
        order = self._store.value(_KEY_USERS, *(key["project"], f'"{fid}"') * 2)
        if order is not None:
            msg = f"SSH key is in use by {order}"
            raise BadRequestError(msg)
        self._store.run("DELETE FROM ssh_keys WHERE fid = ?", fid)

    def _colleagues(self, user: User) -> dict[str, list[str]]:
        """Return the users who share a project with this one, each with the projects that are shared."""
        shared: dict[str, list[str]] = {} if user.everything else {user.fid: []}
        for row in self._store.rows("SELECT user, project FROM grants ORDER BY user, project"):
            if user.may_see(row["project"]):
                shared.setdefault(row["user"], []).append(row["project"])
        return shared


def project_row(row: Row) -> dict[str, Any]:
    """Return a ProjectModel."""
    return {"fid": row["fid"], "name": row["name"], "created_at": write_time(row["created_at"])}


def ssh_key_row(row: Row) -> dict[str, Any]:
    """Return a NewSshKeyModel."""
    return {
        "fid": row["fid"],
        "name": row["name"],
        "project": row["project"],
        "public_key": row["public_key"],
        "created_at": write_time(row["created_at"]),
        "required": bool(row["required"]),
    }


def digest_of(key: str) -> str:
    """Return what is stored of a key."""
    # A state file is passed around in bug reports: it should not carry the key itself.
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()


def fingerprint(authorization: str | None) -> str | None:
    """Return what tells one key from another without giving it away; None where there is no key."""
    key = (authorization or "").partition(" ")[2].strip()
    return digest_of(key)[:8] if key else None
