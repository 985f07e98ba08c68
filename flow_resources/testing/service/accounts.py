"""Users, their API keys, the projects that they have access to, and the SSH keys of projects."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from flow_resources.testing.service.body import Body
from flow_resources.testing.service.clock import HORIZON
from flow_resources.testing.service.errors import BadRequestError, ForbiddenError, NotFoundError, UnauthorizedError
from flow_resources.testing.service.formats import write_time
from flow_resources.testing.service.keypair import make_key_pair
from flow_resources.testing.service.store import Row, Store

_PUBLIC_KEY = r"(ssh-[a-z0-9]+|ecdsa-sha2-[a-z0-9-]+|sk-[a-z0-9@.-]+) [A-Za-z0-9+/=]+( .*)?\s*"
_USER_OF_KEY = (
    "SELECT fid FROM users WHERE key_hash = ? UNION ALL"
    " SELECT user FROM api_keys WHERE key_hash = ? AND deactivated_at IS NULL AND expires_at > ?"
)
_ORDERS_WITH_SSH_KEY = (
    "SELECT fid FROM bids WHERE project = ? AND status != 'Terminated' AND instr(ssh_keys, ?) UNION ALL"
    " SELECT fid FROM reservations WHERE project = ? AND status != 'Ended' AND instr(ssh_keys, ?)"
)
ORGANIZATION = "org_000001"


@dataclass(frozen=True)
class User:
    """The user of a request: the owner of an API key, or the operator, who has access to every project."""

    fid: str
    projects: frozenset[str]
    sees_everything: bool = False

    def may_see(self, project: str) -> bool:
        """Return whether the user has access to the project."""
        return self.sees_everything or project in self.projects

    def require_visible(self, row: Row | None, what: str) -> Row:
        """Return the row. Raises NotFoundError if it is None or of a project that the user has no access to."""
        if row is None or not self.may_see(row["project"]):
            msg = f"{what} not found"
            raise NotFoundError(msg)
        return row


OPERATOR = User("user_console", frozenset(), sees_everything=True)
"""The user of the console and of the control API."""


class Accounts:
    """Users, API keys, projects and SSH keys."""

    def __init__(self, store: Store) -> None:
        """Use the tables of `store`."""
        self._store = store

    def identify(self, authorization: str | None, now: float) -> User:
        """Return the user of an Authorization header. Raises UnauthorizedError without a valid API key."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            msg = "Not authenticated"
            raise UnauthorizedError(msg)
        digest = digest_of(key.strip())
        user = self._store.value(_USER_OF_KEY, digest, digest, now)
        if user is None:
            msg = "Invalid API key"
            raise UnauthorizedError(msg)
        rows = self._store.rows("SELECT project FROM grants WHERE user = ?", user)
        return User(user, frozenset(row["project"] for row in rows))

    def add_key(self, key: str, projects: Iterable[str]) -> str:
        """Give an API key, new or not, access to the projects, and return its user."""
        digest = digest_of(key)
        user: str | None = self._store.value("SELECT fid FROM users WHERE key_hash = ?", digest)
        if user is None:
            user = self._store.next_fid("user")
            self._store.run("INSERT INTO users VALUES (?, ?)", user, digest)
        for project in projects:
            self._store.run("INSERT OR IGNORE INTO grants VALUES (?, ?)", user, self.find_project(project)["fid"])
        return user

    def add_project(self, name: str, now: float) -> Row:
        """Return the project of this name; create it if there is none."""
        if self._store.row("SELECT 1 FROM projects WHERE name = ?", name) is None:
            self._store.run("INSERT INTO projects VALUES (?, ?, ?)", self._store.next_fid("proj"), name, now)
        return self.find_project(name)

    def find_project(self, id_or_name: str) -> Row:
        """Return the project with this name or id. Raises NotFoundError if there is none."""
        row = self._store.row("SELECT * FROM projects WHERE fid = ? OR name = ?", id_or_name, id_or_name)
        if row is None:
            msg = f"Project {id_or_name} not found"
            raise NotFoundError(msg)
        return row

    def require_project(self, user: User, fid: str) -> None:
        """Raise NotFoundError if the project does not exist, ForbiddenError if the user has no access to it."""
        if self._store.row("SELECT 1 FROM projects WHERE fid = ?", fid) is None:
            msg = f"Project {fid} not found"
            raise NotFoundError(msg)
        if not user.may_see(fid):
            msg = f"No access to project {fid}"
            raise ForbiddenError(msg)

    def projects(self, user: User) -> list[dict[str, Any]]:
        """Return the projects that a user has access to."""
        rows = self._store.rows("SELECT * FROM projects ORDER BY fid")
        return [project_row(row) for row in rows if user.may_see(row["fid"])]

    def profile(self, fid: str) -> dict[str, Any]:
        """Return the MeResponse of a user."""
        name = fid.replace("_", "-")
        return {
            "id": fid,
            "fid": fid,
            "email": f"{name}@example.com",
            "user_name": name,
            "organization_id": ORGANIZATION,
            "organization_role": "Administrator",
        }

    def visible_profile(self, user: User, fid: str) -> dict[str, Any]:
        """Return the profile of a user who shares a project with `user`, or of the operator."""
        if fid != OPERATOR.fid and fid not in self._colleagues(user):
            msg = f"User {fid} not found"
            raise NotFoundError(msg)
        return self.profile(fid)

    def teammates(self, user: User) -> list[dict[str, Any]]:
        """Return the TeammateResponse of the user and of everyone who shares a project with them."""
        names = ("id", "fid", "user_name", "email", "organization_role")
        return [
            {**{name: self.profile(fid)[name] for name in names}, "project_ids": projects, "deactivated_at": None}
            for fid, projects in self._colleagues(user).items()
        ]

    def ssh_keys(self, user: User, project: str | None, until: float = HORIZON) -> list[dict[str, Any]]:
        """Return the SSH keys of one project, or of all that the user has access to, which were created by a time."""
        if project is not None:
            self.require_project(user, project)
        sql = "SELECT * FROM ssh_keys WHERE coalesce(?, project) = project AND created_at <= ? ORDER BY seq"
        rows = self._store.rows(sql, project, until)
        return [ssh_key_row(row) for row in rows if user.may_see(row["project"])]

    def create_ssh_key(self, user: User, raw: object, now: float) -> dict[str, Any]:
        """Store a public key, or generate a pair and return its private half this once."""
        body = Body(raw)
        project, name = body.text("project"), body.text("name", longest=256)
        public, private = None, None
        if body.has("public_key"):
            public = body.text("public_key", pattern=_PUBLIC_KEY)
        required = body.flag("required", default=False)
        body.raise_problems()
        self.require_project(user, project)
        if public is None:
            public, private = make_key_pair(name)
        fid = self._store.next_fid("sshkey")
        columns = {"name": name, "public_key": public.strip(), "required": required, "created_at": now}
        self._store.insert("ssh_keys", fid=fid, project=project, **columns)
        return {**ssh_key_row(self.ssh_key(user, fid)), "private_key": private}

    def ssh_key(self, user: User, fid: str) -> Row:
        """Return one SSH key that the user has access to."""
        row = self._store.row("SELECT * FROM ssh_keys WHERE fid = ?", fid)
        return user.require_visible(row, f"SSH key {fid}")

    def check_ssh_keys(self, user: User, fids: Sequence[str], project: str) -> None:
        """Raise NotFoundError for an SSH key that does not belong to the project."""
        for fid in fids:
            if self.ssh_key(user, fid)["project"] != project:
                msg = f"SSH key {fid} not found"
                raise NotFoundError(msg)

    def update_ssh_key(self, user: User, fid: str, raw: object) -> dict[str, Any]:
        """Change whether every bid of the project must have the SSH key."""
        body = Body(raw)
        required = body.flag("required")
        body.raise_problems()
        self.ssh_key(user, fid)
        self._store.run("UPDATE ssh_keys SET required = ? WHERE fid = ?", required, fid)
        return ssh_key_row(self.ssh_key(user, fid))

    def delete_ssh_key(self, user: User, fid: str) -> None:
        """Delete an SSH key that no live bid or reservation was launched with."""
        key = self.ssh_key(user, fid)
        order = self._store.value(_ORDERS_WITH_SSH_KEY, *(key["project"], f'"{fid}"') * 2)
        if order is not None:
            msg = f"SSH key is in use by {order}"
            raise BadRequestError(msg)
        self._store.run("DELETE FROM ssh_keys WHERE fid = ?", fid)

    def _colleagues(self, user: User) -> dict[str, list[str]]:
        """Return the users who share projects with this one, with the shared projects, by user id."""
        shared: dict[str, list[str]] = {} if user.sees_everything else {user.fid: []}
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
    """Return the hash of an API key, which is stored instead of the key: state files are attached to bug reports."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()


def fingerprint(authorization: str | None) -> str | None:
    """Return a short hash of the API key in an Authorization header; None without a key."""
    key = (authorization or "").partition(" ")[2].strip()
    return digest_of(key)[:8] if key else None
