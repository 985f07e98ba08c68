"""Which of a project's SSH keys serves a program, and whether this stack made it.

A key costs nothing, and two of one content are of no use. So a key of the program's content that is there is used,
whoever made it. It is deleted by nobody but the stack that made it: machines of others may need it. What says so is the
mark in its name, and a mark is only as good as the owner in it (see `takeover`): where any of it is not known, the key
is not known to be ours, and stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flow_resources.core.answer import Answer
from flow_resources.core.models import StoredKey
from flow_resources.core.naming import Mark, take_apart
from flow_resources.core.takeover import TAKE_OVER_WITHIN, View


def find_key(keys: Sequence[StoredKey], content: str, mark: Mark) -> StoredKey | None:
    """Return the key of a content: the one that the resource's own create made, else its stack's, else the oldest."""

    def order(key: StoredKey) -> tuple[bool, bool, bool, str, str]:
        name = take_apart(key.name)
        own, of_stack = name is not None and name.mark == mark, name is not None and name.mark.owner == mark.owner
        return not own, not of_stack, not key.created_at, key.created_at, key.id

    return min((key for key in keys if key.content == content), key=order, default=None)


@dataclass(frozen=True)
class MadeBy:
    """What is known of who made a key. A question is asked only where its answer decides: it reads stored states."""

    view: View[StoredKey]
    is_made_by_own_state: Callable[[str], Answer]
    """Whether this stack's state records the key as made by the stack."""

    def is_ours(self, key: StoredKey, mark: Mark) -> Answer:
        """Whether this stack made a key that is there already.

        Its state records that it did; or an `up` that was cut off made it within the last day, and no state records it.
        """
        if not key.name_is_known:
            return Answer.NOT_KNOWN
        name = take_apart(key.name)
        if name is None or name.mark.owner != mark.owner:
            return Answer.NO
        if self.view.owner_is_shared is not Answer.NO:
            return Answer.NOT_KNOWN
        elsewhere = self.view.is_in_other_stack(key)
        if elsewhere is not Answer.NO:
            return Answer.NO if elsewhere is Answer.YES else Answer.NOT_KNOWN
        in_own_state = self.view.is_in_own_state(key.id)
        if in_own_state is not Answer.NO:
            made = self.is_made_by_own_state(key.id)
            return Answer.YES if made is in_own_state is Answer.YES else Answer.NOT_KNOWN
        age = self.view.age(key)
        return Answer.YES if age is not None and abs(age) <= TAKE_OVER_WITHIN else Answer.NOT_KNOWN
