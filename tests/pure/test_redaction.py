"""Secrets are found in the text of others, whole, in pieces and cut off; our own objects show none."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_resources.cloud import Launch, Settings
from flow_resources.core.cluster_fields import check_cluster
from flow_resources.core.hidden import read_record
from flow_resources.lifecycle import verbs
from flow_resources.redaction import Redactor

quick = settings(deadline=None, max_examples=200)


@pytest.mark.parametrize(
    ("secret", "text", "shown"),
    [
        ("canary-1", "Bearer canary-1.", "Bearer …."),
        (" canary-1\n", "got canary-1 twice: canary-1", "got … twice: …"),
        ('a "quoted"\nline', r'{"env": "a \"quoted\"\nline"}', '{"env": "…"}'),
        ("train --token=canary-12", "run: train  --token 'canary-12'", "run: train  --token '…'"),
        ("canary-1234", "the body was Bearer canary-12", "the body was Bearer …"),
        ({"A": ["canary-1"], "B": "canary-2"}, "canary-2 and canary-1", "… and …"),
        ("abc", "an abc is too short to be a secret", "an abc is too short to be a secret"),
        (None, "nothing was kept", "nothing was kept"),
        (None, "made {'secret': 'fkey_MDk0_x-Yz12'}", "made {'secret': '…'}"),  # an API key that nobody has registered
        (None, "a listing shows fkey_abc1... of a key", "a listing shows fkey_abc1... of a key"),
        (None, 'open "postgres://u:p@ss:w0rd@db:5432/x": no', 'open "postgres://u:…@db:5432/x": no'),
        (None, "at https://db/x?user=u&password=s3cret&tls=1", "at https://db/x?user=u&password=…&tls=1"),
        (None, "https://u@example.com:80/a:b@c and s3://x", "https://u@example.com:80/a:b@c and s3://x"),
        (7.0, "numbers are none: 7.0", "numbers are none: 7.0"),
    ],
)
def test_a_secret_is_found_however_it_comes_back(secret: Any, text: str, shown: str) -> None:
    """Whole, as JSON writes it, in pieces between quotes and white space, and cut at the end of the text."""
    redactor = Redactor()
    redactor.register(secret)
    assert redactor.redact(text) == shown


def test_the_longest_secret_goes_first() -> None:
    """Nothing is left of one that begins like another."""
    redactor = Redactor()
    redactor.register("canary-1")
    redactor.register("canary-1-and-more")
    assert redactor.redact("x canary-1-and-more y") == "x … y"


@pytest.mark.parametrize(
    ("secrets", "text", "shown"),
    [
        (["abcd-efgh", "efgh-ijkl"], "<abcd-efgh-ijkl>", "<…>"),
        (["abcdef", "abcdefgh"], "abcdefg abcdefgh abcdexy", "…g … abcdexy"),
        (["abcd", "abcdef", "abcdefghij"], "abcdefgh|abcdefghi", "…gh|…"),
        (["abab-abab"], "abab-abab-abab-ab", "…"),
        (["canary-1", "canary-2"], "canary-1canary-2", "……"),
    ],
)
def test_secrets_that_overlap_leave_nothing_of_each_other(secrets: list[str], text: str, shown: str) -> None:
    """Side by side, one inside the other, or cut off at the end."""
    redactor = Redactor()
    redactor.register(secrets)
    assert redactor.redact(text) == shown


@quick
@given(secrets=st.lists(st.text("ab", min_size=4, max_size=7), max_size=6), text=st.text("ab.", max_size=40))
def test_every_place_of_every_secret_is_cut(secrets: list[str], text: str) -> None:
    """As a search for each secret at each place would, and nothing else is."""
    redactor = Redactor()
    redactor.register(secrets)
    hidden = set[int]()
    for at in range(len(text)):
        for secret in secrets:
            rest = text[at : at + len(secret)]
            if rest == secret or (len(rest) >= 4 and at + len(rest) == len(text) and secret.startswith(rest)):
                hidden |= set(range(at, at + len(rest)))
    kept = "".join(character for at, character in enumerate(text) if at not in hidden)
    assert redactor.redact(text).replace("…", "") == kept


def seconds_to_redact_an_echo(secrets: int) -> float:
    """Return the processor seconds for a text that repeats so many secrets."""
    env = {f"N{number}": f"canary-{number:06d}" for number in range(secrets)}
    redactor = Redactor()
    redactor.register(env)
    redactor.redact("")  # the first one sorts them
    text, begun = " ".join(env.values()), time.process_time()
    assert "canary" not in redactor.redact(text)
    return time.process_time() - begun


def test_redacting_takes_no_longer_for_sixteen_times_as_many_secrets_and_as_long_a_text() -> None:
    """A megabyte of `env` that a service echoes took half a minute: 256 times as long. It is some four times now."""
    assert seconds_to_redact_an_echo(16_000) < 60 * seconds_to_redact_an_echo(1_000)


def test_a_redactor_knows_only_its_own_secrets() -> None:
    """There is one per plugin process, and no registry beside it."""
    redactor = Redactor()
    redactor.register("canary-1")
    assert Redactor().redact("canary-1") == "canary-1"


def test_threads_register_and_redact_at_once() -> None:
    """Verbs do both, side by side."""
    redactor = Redactor()

    def register_and_redact(number: int) -> str:
        redactor.register({"A": f"canary-{number}", "B": [f"canary {number} in-pieces-{number}"]})
        return redactor.redact(f"<canary-{number}>")

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(register_and_redact, range(200))) == {"<…>"}


@pytest.mark.parametrize(
    "one",
    [
        Settings("canary", "http://mithril.test"),
        Launch("n", "k", "it_1", 1, Decimal(1), "r", "echo canary", env={"A": "canary"}),
        check_cluster(
            {"instance_type": "8xa100", "max_price_per_hour": 1, "env": {"A": "canary"}, "command": "canary"}
        ),
        check_cluster({"env": "canary", "command": ["canary", 7], "max_price_per_hour": -1}),
        read_record({"env": {"TOKEN": "canary"}}),
        verbs.CheckResult({"env": {"TOKEN": "canary"}}, []),
        verbs.Result("bid_1", {"env": {"TOKEN": "canary"}}),
        verbs.ReadResult("bid_1", {"env": {"TOKEN": "canary"}}, {"command": "canary"}),
    ],
    ids=lambda one: type(one).__name__,
)
def test_our_objects_show_no_secret(one: object) -> None:
    """In a log, a traceback or a debugger."""
    assert "canary" not in repr(one)
