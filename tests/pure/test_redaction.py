"""What is not to be repeated is found in others' words, whole, in pieces and cut; our objects show none of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from flow_resources import redaction
from flow_resources.cloud import Launch, Settings
from flow_resources.core.cluster_fields import check_cluster
from flow_resources.redaction import redact, register_secret


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a process of its own, so to speak."""
    monkeypatch.setattr(redaction, "_kept", set())


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
        (7.0, "numbers are none: 7.0", "numbers are none: 7.0"),
    ],
)
def test_a_secret_is_found_however_it_comes_back(secret: Any, text: str, shown: str) -> None:
    """Whole, as JSON writes it, in pieces between quotes and white space, and cut at the end of the text."""
    register_secret(secret)
    assert redact(text) == shown


def test_the_longest_secret_goes_first() -> None:
    """One that begins like another leaves no rest behind."""
    register_secret("canary-1")
    register_secret("canary-1-and-more")
    assert redact("x canary-1-and-more y") == "x … y"


@pytest.mark.parametrize(
    "one",
    [
        Settings("canary", "http://mithril.test"),
        Launch("n", "k", "it_1", 1, Decimal(1), "r", "echo canary", env={"A": "canary"}),
        check_cluster(
            {"instance_type": "8xa100", "max_price_per_hour": 1, "env": {"A": "canary"}, "command": "canary"}
        ),
        check_cluster({"env": "canary", "command": ["canary", 7], "max_price_per_hour": -1}),
    ],
    ids=lambda one: type(one).__name__,
)
def test_our_objects_show_no_secret(one: object) -> None:
    """In a log, a traceback or a debugger."""
    assert "canary" not in repr(one)
