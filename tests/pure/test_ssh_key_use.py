"""Which key of a project is used, and whether this stack made it: a case per fact, and each of them not known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_resources.core.answer import Answer
from flow_resources.core.models import StoredKey
from flow_resources.core.naming import Mark, compose
from flow_resources.core.ssh_key_use import MadeBy, find_key

YES, NO, NOT_KNOWN = Answer.YES, Answer.NO, Answer.NOT_KNOWN
MARK, OTHER = Mark.of("acme/training/dev", "urn:me"), Mark.of("acme/training/dev", "urn:other")
STRANGER = Mark.of("acme/training/prod", "urn:me")
CONTENT = "ssh-ed25519 AAAA"


def key(id_: str = "sshkey_1", name: str = "", mark: Mark | None = MARK, **facts: Any) -> StoredKey:
    given_ = name or (compose("me", mark, "9c01d2", 1) if mark else "laptop")
    return replace(StoredKey(id_, given_, "proj_1", CONTENT, "2026-01-01T00:00:00Z"), **facts)


@dataclass
class View:
    """What is known, and what was asked."""

    owner_is_shared: Answer = NO
    elsewhere: Answer = NO
    own: Answer = NO
    made: Answer = NO
    how_old: timedelta | None = timedelta(minutes=5)
    asked: list[str] = field(default_factory=list)
    newest_recorded: str | None = ""

    def is_in_other_stack(self, _: Any) -> Answer:
        self.asked.append("other stacks")
        return self.elsewhere

    def is_in_own_state(self, _: str) -> Answer:
        self.asked.append("own state")
        return self.own

    def age(self, _: Any) -> timedelta | None:
        return self.how_old

    def is_made(self, _: str) -> Answer:
        return self.made

    def is_recorded(self, _: str) -> Answer:
        return NOT_KNOWN

    def is_adopted_by_another(self, _: str) -> Answer:
        return NO

    def is_of_another_user(self, _: Any) -> Answer:
        return NO


def is_ours(one: StoredKey, **facts: Any) -> Answer:
    view = View(**facts)
    return MadeBy(view, view.is_made).is_ours(one, MARK)


@pytest.mark.parametrize(
    ("one", "facts", "answer"),
    [
        pytest.param(key(), {}, YES, id="left by an up that was cut off"),
        pytest.param(key(mark=OTHER), {}, YES, id="the same, of another resource"),
        pytest.param(key(), {"how_old": timedelta(hours=23)}, YES, id="of today"),
        pytest.param(key(), {"own": YES, "made": YES}, YES, id="recorded as made here"),
        pytest.param(key(), {"own": YES, "made": YES, "how_old": None}, YES, id="recorded, of an unknown age"),
        pytest.param(key(mark=None), {}, NO, id="without a mark"),
        pytest.param(key(mark=STRANGER), {}, NO, id="of another stack"),
        pytest.param(key(), {"elsewhere": YES}, NO, id="recorded by another stack"),
        pytest.param(key(), {"elsewhere": YES, "own": YES, "made": YES}, NO, id="recorded by both"),
        pytest.param(key(name_is_known=False), {}, NOT_KNOWN, id="without a name"),
        pytest.param(key(), {"owner_is_shared": YES}, NOT_KNOWN, id="a shared owner"),
        pytest.param(key(), {"owner_is_shared": NOT_KNOWN}, NOT_KNOWN, id="an owner that may be shared"),
        pytest.param(key(), {"owner_is_shared": YES, "own": YES, "made": YES}, NOT_KNOWN, id="shared, and recorded"),
        pytest.param(key(), {"elsewhere": NOT_KNOWN}, NOT_KNOWN, id="other stacks not known"),
        pytest.param(key(), {"own": NOT_KNOWN}, NOT_KNOWN, id="own state not known"),
        pytest.param(key(), {"own": NOT_KNOWN, "made": YES}, NOT_KNOWN, id="own state half known"),
        pytest.param(key(), {"own": YES, "made": NO}, NOT_KNOWN, id="recorded as not made here"),
        pytest.param(key(), {"own": YES, "made": NOT_KNOWN}, NOT_KNOWN, id="recorded, by whom made not known"),
        pytest.param(key(), {"how_old": timedelta(hours=25)}, NOT_KNOWN, id="older than a day"),
        pytest.param(key(), {"how_old": timedelta(hours=-25)}, NOT_KNOWN, id="of tomorrow"),
        pytest.param(key(), {"how_old": None}, NOT_KNOWN, id="of an unknown age"),
    ],
)
def test_who_made_a_key(one: StoredKey, facts: dict[str, Any], answer: Answer) -> None:
    """Yes only where each fact is known and says so."""
    assert is_ours(one, **facts) is answer


@given(
    shared=st.sampled_from(Answer),
    elsewhere=st.sampled_from(Answer),
    own=st.sampled_from(Answer),
    made=st.sampled_from(Answer),
    age=st.sampled_from([None, timedelta(0), timedelta(hours=23), timedelta(hours=25)]),
)
def test_a_fact_that_is_not_known_never_makes_it_ours(
    shared: Answer, elsewhere: Answer, own: Answer, made: Answer, age: timedelta | None
) -> None:
    """Over all combinations: who deletes has to know."""
    answer = is_ours(key(), owner_is_shared=shared, elsewhere=elsewhere, own=own, made=made, how_old=age)
    if answer is YES:
        assert shared is NO
        assert elsewhere is NO
        assert (own is YES and made is YES) or (own is NO and age is not None and age <= timedelta(hours=24))


def test_no_state_is_read_for_a_key_of_strangers() -> None:
    """That takes a second or more."""
    view = View()
    assert MadeBy(view, view.is_made).is_ours(key(mark=None), MARK) is NO
    assert MadeBy(replace(view, owner_is_shared=YES), view.is_made).is_ours(key(), MARK) is NOT_KNOWN
    assert not view.asked


def test_the_own_key_comes_first_then_that_of_the_stack_then_the_oldest() -> None:
    """In any order of the listing; one without a time last."""
    young = key("sshkey_4", mark=None, created_at="2026-01-02T00:00:00Z")
    ranked = [
        key("sshkey_9", created_at="2026-01-09T00:00:00Z"),
        key("sshkey_8", mark=OTHER, created_at="2026-01-08T00:00:00Z"),
        key("sshkey_2", mark=STRANGER),
        key("sshkey_3", mark=None),
        young,
        key("sshkey_0", mark=None, created_at=""),
    ]
    others = [key("sshkey_x", content="ssh-ed25519 BBBB"), key("sshkey_y", content=None)]
    for count in range(len(ranked)):
        left = ranked[count:]
        assert find_key([*others, *left[::-1]], CONTENT, MARK) is left[0]
    assert find_key(others, CONTENT, MARK) is None
