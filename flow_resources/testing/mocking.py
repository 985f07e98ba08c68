"""`mock_mithril`: a fake Mithril around a test, a fixture, a class of tests or a `with` block, as moto does for AWS.

    @mock_mithril
    def test_training_is_rented(mithril):
        main()  # any program that uses the Flow SDK, unchanged
        assert len(mithril.live_bids) == 1

Here is what a mock is; `decorating` puts it around things.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, overload

from flow_resources.testing import decorating, guard, memories, surroundings, uploads

if TYPE_CHECKING:
    from flow_resources.testing.fake import FakeMithril

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


class MockMithril:
    """What `mock_mithril(...)` returns: usable as often as you like, with a fresh cloud each time."""

    def __init__(self, allow_network: bool, options: dict[str, Any]) -> None:
        self._allow_network = allow_network
        self._options = options
        self._active: list[ExitStack] = []

    def __enter__(self) -> FakeMithril:
        """Start a cloud and send the SDK to it. Raises RuntimeError where another mock goes on beside this one."""
        from flow_resources.testing.fake import FakeMithril

        with ExitStack() as stack:
            folder = stack.enter_context(TemporaryDirectory(prefix="mock-mithril-", ignore_cleanup_errors=True))
            # A key of its own: a client left over from another cloud is refused here, even on the same port.
            mithril = FakeMithril(**{"key": f"mock-{secrets.token_hex(8)}", **self._options})
            stack.enter_context(mithril)
            stack.enter_context(memories.forgotten_when_moved(mithril, folder))
            variables = {**mithril.environment, "FLOW_DIR": folder}
            stack.enter_context(surroundings.taken_over(variables, keep_proxies=self._allow_network))
            stack.enter_context(guard.loopback_only(allow_network=self._allow_network))
            stack.enter_context(uploads.not_started())
            self._active.append(stack.pop_all())
        return mithril

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give everything back, and end the cloud."""
        self._active.pop().__exit__(kind, error, trace)

    async def __aenter__(self) -> FakeMithril:
        """Do as `with` does."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do as `with` does."""
        self.__exit__(kind, error, trace)

    @overload
    def __call__(self, target: C) -> C: ...
    @overload
    def __call__(self, target: Callable[Concatenate[FakeMithril, P], R]) -> Callable[P, R]: ...
    @overload
    def __call__(self, target: Callable[Concatenate[S, FakeMithril, P], R]) -> Callable[Concatenate[S, P], R]: ...
    @overload
    def __call__(self, target: F) -> F: ...
    def __call__(self, target: Any) -> Any:
        """Decorate a function or a class. Raises TypeError for anything else."""
        return decorating.decorate(self, target)


@overload
def mock_mithril(target: C, /) -> C: ...
@overload
def mock_mithril(target: Callable[Concatenate[FakeMithril, P], R], /) -> Callable[P, R]: ...
@overload
def mock_mithril(target: Callable[Concatenate[S, FakeMithril, P], R], /) -> Callable[Concatenate[S, P], R]: ...
@overload
def mock_mithril(target: F, /) -> F: ...
@overload
def mock_mithril(*, allow_network: bool = False, **options: Any) -> MockMithril: ...
def mock_mithril(target: Any = None, /, *, allow_network: bool = False, **options: Any) -> Any:
    """Run tests against a fake Mithril: as a decorator, with or without options, or in `with` and `async with`.

    A decorated function, async function, generator or async generator that has a parameter `mithril` is given the
    running `FakeMithril` there. Every test of a decorated class has a cloud of its own as `self.mithril`, around its
    setUp and tearDown (or setup_method and teardown_method); so have those of its subclasses.

    Inside, the Flow SDK and flow_resources find the fake and nothing of the developer's: the variables `FLOW_...` and
    `MITHRIL_...` are the mock's, FLOW_DIR is a folder that is removed afterwards, no proxy is used, and what the SDK
    remembers in the process is put aside. HOME is left alone, because the SDK does not look there when FLOW_DIR is set.
    Afterwards all is as it was. What a test wants different it sets inside. A client ends with the mock that it was
    made in: make clients where they are used, not where a module is imported.

    Mocks nest: the innermost is seen until it ends. They belong to the process, so a second one in another thread or in
    an asyncio task beside is refused with RuntimeError.

    `allow_network`: let more be reached than loopback; see `guard`. All other options are those of `FakeMithril`. Each
    cloud has an API key of its own (`mithril.key`) unless `key` is given.
    """
    mock = MockMithril(allow_network, options)
    return mock if target is None else mock(target)
