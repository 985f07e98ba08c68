"""SshKey: a public key of the project, with which its owner logs in to machines.

A key of the same content that the project has is used as it is. It is deleted by the stack that made it alone, and
never while a live bid uses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from flow_resources.core import naming, ssh_key_fields
from flow_resources.core.answer import Answer
from flow_resources.core.hidden import IS_OURS, NAMED, Identity, Record, recorded_inputs
from flow_resources.core.imports import Imported
from flow_resources.core.inputs import Checked
from flow_resources.core.models import Bid, StoredKey
from flow_resources.core.naming import logical_name
from flow_resources.core.public_keys import fingerprint
from flow_resources.core.spec import SshKeySpec
from flow_resources.core.ssh_key_use import MadeBy, find_key
from flow_resources.core.takeover import Wanted
from flow_resources.errors import OwnershipError, RejectedError
from flow_resources.lifecycle.doubles import end_doubles
from flow_resources.lifecycle.holders import Describe, delete_when_free
from flow_resources.lifecycle.operation import CHECK, LISTING_SECONDS, Operation
from flow_resources.lifecycle.resource import Resource, Words, require_name
from flow_resources.lifecycle.takeover import view_of

_IN_USE = (400, 409, 422)  # what the service may answer while something uses a key
_STAYS = "stays in the project: {why}; `flow ssh-key delete {id}` deletes it"


class SshKey(Resource[SshKeySpec, StoredKey, StoredKey]):
    """The kind; `SSH_KEY` is its one instance."""

    name = "SshKey"
    id_prefix = "sshkey_"
    fields = ssh_key_fields.FIELDS
    is_shared = True
    words = Words(
        noun="SSH key",
        managed="SSH key",
        end_command="flow ssh-key delete",
        ends="deletes",
        adopt_input="",
        conflict_remedy="`flow ssh-key delete {id}` deletes it",
        lost_by_replacement="clusters and jobs whose ssh_keys have it are replaced too",
        list_command="flow ssh-key list",
    )

    # -- check --------------------------------------------------------------------------------------------------------

    def check(self, op: Operation, found: Checked, olds: Mapping[str, Any], identity: Identity) -> None:
        """Refuse one key in two resources of a program, and a name that another key has."""
        if found.has_failed("public_key"):
            found.inputs.pop("public_key", None)  # it can be a private key: it goes no further
        key, name, urn = found.known("public_key"), found.known("key_name"), op.urn or str(identity.mark)
        if key and (first := op.deployment.ssh_keys.setdefault(key, urn)) != urn:
            found.fail(
                "public_key", f"is that of the SshKey {logical_name(first)!r} already", remedy="use that one for both"
            )
        if olds and name and olds.get("key_name") and name != olds["key_name"]:
            op.warn_once("the service renames no key: the new key_name is used when the key is made anew")
        if key and name and not (olds and key == olds.get("public_key")):
            with op.collecting_failures(found):
                listed = op.cloud.stored_ssh_keys(op.begun - LISTING_SECONDS)
                if taken := _namesake(listed, name, key, besides=op.own_record.id):
                    found.fail("key_name", _TAKEN.format(id=taken.id), name, "choose another one, or leave it out")

    def needs_whole_record(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
        """Whether it is to be another key, which may take the name of the old one."""
        return not olds or olds.get("public_key") != news.get("public_key")

    def is_deleted_first(self, news: Mapping[str, Any]) -> bool:
        """Whether its name is the program's, which two cannot have."""
        return "key_name" in news

    def parse(self, props: Mapping[str, Any]) -> SshKeySpec:
        """Parse the inputs."""
        return SshKeySpec.parse(props)

    # -- create -------------------------------------------------------------------------------------------------------

    def list_live(self, op: Operation, begun_after: float) -> Sequence[StoredKey]:
        """List the keys of the project."""
        return op.cloud.stored_ssh_keys(begun_after)

    def want(self, op: Operation, spec: SshKeySpec) -> Wanted[StoredKey]:
        """Return what a create wants where no key of the content is there: a new one, whatever carries its mark."""
        return Wanted(spec.mark, spec.digest(op.settings.api_key), may_cancel=False, differs=lambda _: True)

    def find_usable(self, op: Operation, spec: SshKeySpec, live: Sequence[StoredKey]) -> StoredKey | None:
        """Return the key of the same content, and find out whether this stack made it."""
        key = find_key(live, spec.public_key, spec.mark)
        if key is None or op.verb == CHECK:
            if key and key.id != op.own_record.id:
                op.report.progress(
                    f"an `up` uses the SSH key {key.name!r} ({key.id}), which the project has", keep=True
                )
            return key
        made_by = MadeBy(view_of(op, self, spec), lambda id_: op.ledger.is_made_by_own_stack(id_, op.urn, op.report))
        key = replace(key, ours=made_by.is_ours(key, spec.mark))
        op.report.progress(f"using the SSH key {key.name!r} ({key.id}), which the project has{_kept(key)}", keep=True)
        return key

    def place(self, op: Operation, spec: SshKeySpec, generation: int, listed: Sequence[StoredKey]) -> StoredKey:
        """Make a key, under the name that the program chose or under one with the mark that was never used."""
        if unread := next((key for key in listed if key.content is None), None):
            raise OwnershipError(
                f"the service does not say the public key of the SSH key {unread.id}, which can be this one: nothing "
                "was made",
                "run the same command again",
            )
        name = spec.key_name or _free_name(op, spec, generation, listed)
        if taken := _namesake(listed, name, spec.public_key):
            raise OwnershipError(f"{name!r} {_TAKEN.format(id=taken.id)}", "choose another key_name")
        begun = op.cloud.service_now()
        made = op.cloud.create_ssh_key(name, spec.public_key)
        end_doubles(op, self, spec, made.doubles, begun)
        key = made.key
        if key.content not in (None, spec.public_key):
            raise OwnershipError(
                f"the SSH key {name!r} ({key.id}) was asked for, and has another content", "choose another key_name"
            )
        is_new = key.name == name and key.id not in {one.id for one in listed}
        return replace(key, content=spec.public_key, ours=Answer.of(is_new))

    def cancel(self, op: Operation, thing: StoredKey) -> None:
        """Delete what a request with a lost answer made beside the key."""
        _delete(op, self.words, thing.id, Record(name=thing.name))

    def describe_cost(self, thing: StoredKey) -> str:  # noqa: ARG002
        """Return that it costs nothing."""
        return "which costs nothing"

    # -- what is there ------------------------------------------------------------------------------------------------

    def holders(self, thing: StoredKey) -> Sequence[str]:
        """Return the live bids that use it, where somebody has looked."""
        return thing.bids

    def describe_import(self, op: Operation, thing: StoredKey) -> Imported:  # noqa: ARG002
        """Return what a key tells. Whether this stack made it is not known, so that a destroy leaves it there."""
        if thing.content is None:
            raise RejectedError(
                f"{thing.id} is not imported: the service does not say its public key", "run the same command again"
            )
        return Imported({"public_key": thing.content})

    def snapshot(self, thing: StoredKey) -> StoredKey:
        """Return it as it is."""
        return thing

    def observe(self, op: Operation, id_: str, record: Record) -> StoredKey | None:
        """Return the key. Only absence from two whole listings of the recorded project is gone."""
        key = _find(op, id_, op.fresh_since) or _find(op, id_, op.clock.now())
        return replace(key, ours=is_recorded_as_ours(record)) if key else None

    def outputs(self, seen: StoredKey, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs that the service decides, and whether this stack made the key."""
        ours = {} if seen.ours is Answer.NOT_KNOWN else {IS_OURS: seen.ours is Answer.YES}
        return {
            "ssh_key_id": seen.id,
            "key_name": seen.name or None,
            "project": seen.project,
            "public_key": seen.content,
            "fingerprint": fingerprint(seen.content),
            "created_at": seen.created_at or None,
            **ours,
            **({NAMED: True} if "key_name" in inputs else {}),
        }

    def live_inputs(self, seen: StoredKey, inputs: Mapping[str, Any], record: Record) -> dict[str, Any]:  # noqa: ARG002
        """Return the inputs as they are; the name is one only where the program chose it."""
        return {name: value for name, value in inputs.items() if name != "key_name" or record.is_named}

    def report_drift(self, op: Operation, seen: StoredKey, record: Record) -> None:
        """Warn of another content than the recorded one, which the service never gives a key."""
        recorded = recorded_inputs(record.outputs or {}).get("public_key")
        if recorded and seen.content and seen.content != recorded:
            op.warn_once(
                f"the SSH key {seen.id} has another public key than the program says: who has the private half of that "
                "one can log in with it; `pulumi up --target-replace` with the URN makes a new key"
            )

    # -- delete -------------------------------------------------------------------------------------------------------

    def delete(self, op: Operation, id_: str, record: Record) -> None:
        """Wait until no live bid uses a key that this stack made, delete it and see it gone; leave any other one."""
        ours = is_recorded_as_ours(record)
        if ours is not Answer.YES:
            why = "this stack did not make it" if ours is Answer.NO else "whether this stack made it is not known"
            op.report.progress(f"the SSH key {record.name!r} ({id_}) {_STAYS.format(why=why, id=id_)}", keep=True)
            return
        _delete(op, self.words, id_, record)


_TAKEN = "is the name of another key of the project ({id}), which has another content"


def is_recorded_as_ours(record: Record) -> Answer:
    """Whether the state records that the stack made a key."""
    recorded = (record.outputs or {}).get(IS_OURS)
    return Answer.of(recorded if isinstance(recorded, bool) else None)


def with_users(op: Operation, keys: Sequence[StoredKey]) -> list[StoredKey]:
    """Return keys with the live bids that use them, or that may: of some the service may not say what they use.

    The bids are listed a second time where a key seems free: one listing can miss a bid (see `BidKind.list_all`).
    """
    seen = list(keys)
    for _ in range(2):
        if all(key.bids for key in seen):
            break
        bids = op.cloud.live_bids(op.clock.now()).values()
        seen = [replace(key, bids=tuple(dict.fromkeys((*key.bids, *_users(key, bids))))) for key in seen]
    return seen


def _users(key: StoredKey, bids: Iterable[Bid]) -> list[str]:
    return [bid.id for bid in bids if bid.ssh_keys is None or key.id in bid.ssh_keys]


def _find(op: Operation, id_: str, begun_after: float) -> StoredKey | None:
    return next((key for key in op.cloud.stored_ssh_keys(begun_after) if key.id == id_), None)


def _free_name(op: Operation, spec: SshKeySpec, generation: int, listed: Sequence[StoredKey]) -> str:
    prefix, digest = naming.fit(logical_name(op.urn or "key")), spec.digest(op.settings.api_key)
    used = {key.name for key in listed}
    while (name := naming.compose(prefix, spec.mark, digest, generation)) in used:
        generation += 1
    return name


def _namesake(keys: Sequence[StoredKey], name: str, content: str, besides: str | None = None) -> StoredKey | None:
    """Return a key that has a name, and another content: `ssh_keys` could not tell the two by their name."""
    return next((key for key in keys if key.name == name and key.content != content and key.id != besides), None)


def _kept(key: StoredKey) -> str:
    """Return what a destroy will do about a key that was there, as the end of a sentence."""
    if key.ours is Answer.YES:
        return " and this stack made"
    is_known = key.ours is Answer.NO
    return ": a destroy leaves it there" if is_known else ": whether this stack made it is not known, so it stays there"


def _delete(op: Operation, words: Words, id_: str, record: Record) -> None:
    delete_when_free(op, f"the SSH key {id_}", record.mark, partial(_try_to_delete, op, words, id_, record))


def _try_to_delete(op: Operation, words: Words, id_: str, record: Record, describe: Describe) -> str:
    """Delete a key that nothing uses; return what is in the way, nothing where the key is gone."""
    key = _find(op, id_, op.clock.now())
    if key:
        require_name(key, words)
        if key.name != record.name:
            raise OwnershipError(
                f"the SSH key {id_} is named {key.name!r} but the state records {record.name!r}",
                "if it is still this stack's, `pulumi refresh` records the new name",
            )
        if key.is_required:
            raise RejectedError(
                f"the SSH key {id_} is one that the project requires of every bid by now: it was not deleted",
                "let an administrator take that back, or forget the key with `pulumi state delete`",
            )
        (key,) = with_users(op, [key])
        if key.bids:
            return f"used by {describe(key.bids)}"
    try:
        is_known = op.cloud.delete_ssh_key(id_)  # also where no listing has it: one can lag
    except RejectedError as error:
        if error.status not in _IN_USE:
            raise
        return str(error)
    if not (key or is_known):
        return ""
    return "it is still listed" if _find(op, id_, op.clock.now()) else ""


SSH_KEY = SshKey()
