"""`mock_mithril`: a fake Mithril around a test, a fixture, a class of tests or a `with` block, as moto does for AWS.

    @mock_mithril
    def test_training_is_rented(mithril):
        main()  # any program that uses the Flow SDK, unchanged
        assert len(mithril.live_bids) == 1

`decorators` implements the decorator, the other modules what a mock consists of.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, overload

from flow_resources.testing import decorators, environment, guard, sdk_cache, uploads

if TYPE_CHECKING:
    from flow_resources.testing.fake import FakeMithril

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


class MockMithril:
    """A reusable decorator and context manager, which `mock_mithril(...)` returns. Each use has a new cloud."""

    def __init__(self, allow_network: bool, options: dict[str, Any]) -> None:
        self._allow_network = allow_network
        self._options = options
        self._active: list[ExitStack] = []

    def __enter__(self) -> FakeMithril:
        """Start a cloud and direct the SDK to it.

        Raises RuntimeError if another thread or task has an active mock.
        """
        from flow_resources.testing.fake import FakeMithril

        with ExitStack() as stack:
            # A random key: this cloud rejects a client left over from another one, even on the same port.
            mithril = FakeMithril(**{"key": f"mock-{secrets.token_hex(8)}", **self._options})
            stack.enter_context(mithril)
            variables = mithril.environment
            stack.enter_context(sdk_cache.cleared_on_change(mithril, variables["FLOW_DIR"]))
            stack.enter_context(environment.isolated(variables, keep_proxies=self._allow_network))
            stack.enter_context(guard.loopback_only(allow_network=self._allow_network))
            stack.enter_context(uploads.disabled())
            self._active.append(stack.pop_all())
        return mithril

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the process and close the cloud."""
        self._active.pop().__exit__(kind, error, trace)

    async def __aenter__(self) -> FakeMithril:
        """Enter as `with` does."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Exit as `with` does."""
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
        return decorators.decorate(self, target)


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
    """Run tests against a fake Mithril: a decorator, with or without options, or a `with` or `async with` block.

    A decorated function, async function, generator or async generator receives the running `FakeMithril` in its
    parameter `mithril`, if it has one. Each test of a decorated class and of its subclasses has a cloud of its own as
    `self.mithril`, which includes setUp and tearDown (or setup_method and teardown_method).

    Inside, the Flow SDK and flow_resources find the fake cloud and none of the developer's settings: the variables
    `FLOW_...` and `MITHRIL_...` are those of the mock, FLOW_DIR is a temporary folder, no proxy is used, and the state
    that the SDK keeps in the process is fresh. All of it is restored afterwards. HOME is not changed, because the SDK
    does not read it when FLOW_DIR is set. A test that needs other settings sets them inside the mock. A client is valid
    only inside the mock in which it was created: create clients where they are used, not when a module is imported.

    Mocks nest, and the innermost one is in effect. They belong to the process.

    Args:
        target: the function or class, when used as a decorator without options.
        allow_network: allow connections to other hosts than loopback. By default they raise `guard.OutsideError`, a
            RuntimeError.
        options: the arguments of `FakeMithril`. Without `key`, each cloud has a random API key (`mithril.key`).

    Raises:
        TypeError: the decorated object is neither a function nor a class, or an option does not exist.
        ValueError: an option has an invalid value.
        RuntimeError: another mock is active in another thread, or in an asyncio task that has not finished.

    """
    mock = MockMithril(allow_network, options)
    return mock if target is None else mock(target)
