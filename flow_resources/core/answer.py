"""The answer to a question of fact: yes, no, or not known. A decision gives "not known" a branch of its own."""

from __future__ import annotations

from enum import Enum
from typing import NoReturn


class Answer(Enum):
    """A fact that a decision needs. It has no truth value: compare it with `is`."""

    YES = "yes"
    NO = "no"
    NOT_KNOWN = "not known"

    @classmethod
    def of(cls, fact: bool | None) -> Answer:
        """Return the answer for a fact; None is not known."""
        return cls.NOT_KNOWN if fact is None else cls.YES if fact else cls.NO

    def __bool__(self) -> NoReturn:
        raise TypeError("an Answer can be NOT_KNOWN: compare it with `is Answer.YES` or `is Answer.NO`")
