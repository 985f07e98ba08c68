"""`mock_mithril` as a decorator of functions and classes, such that pytest and unittest still see the originals.

A mock in this module is any reusable context manager that returns a cloud.
"""

from __future__ import annotations

import inspect
import sys
import unittest
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps
from typing import Any

Mock = AbstractContextManager[Any]
Function = Callable[..., Any]
Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Enter = Callable[..., AbstractContextManager[Arguments]]
"""Enters the mock and returns the arguments to call the decorated function with."""

PARAMETER = "mithril"
"""The parameter, or the attribute of a test class, that receives the cloud."""
MARK = "__mock_mithril__"
"""The attribute of a decorated function or class that holds its mock."""


def decorate(mock: Mock, target: Any) -> Any:
    """Return the function or class decorated with the mock. Raises TypeError for any other target."""
    if isinstance(target, (staticmethod, classmethod)):
        return type(target)(decorate(mock, target.__func__))
    if isinstance(target, type):
        decorated: Any = _decorate_class(target)
    elif inspect.isfunction(target) or inspect.ismethod(target) or inspect.isbuiltin(target):
        decorated = _decorate_function(mock, target)
    else:
        msg = f"mock_mithril decorates functions and classes (below any @pytest.fixture), got {target!r}"
        raise TypeError(msg)
    setattr(decorated, MARK, mock)
    return decorated


# --- functions -------------------------------------------------------------------------------------------------------


def _decorate_function(mock: Mock, function: Function) -> Function:
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())

    @contextmanager
    def enter(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Arguments]:
        with ExitStack() as stack:
            mithril = stack.enter_context(mock)
            yield _add_cloud(parameters, mithril, args, _replace_monkeypatch(stack, kwargs))

    if inspect.isasyncgenfunction(function):
        wrapper = _async_generator(function, enter)
    elif inspect.iscoroutinefunction(function):
        wrapper = _async_function(function, enter)
    elif inspect.isgeneratorfunction(function):
        wrapper = _generator(function, enter)
    else:
        wrapper = _plain_function(function, enter)
    # Without this, pytest would look for a fixture named like the parameter.
    remaining = [parameter for parameter in parameters if parameter.name != PARAMETER]
    wrapper.__signature__ = signature.replace(parameters=remaining)  # type: ignore[attr-defined]
    return wrapper


def _plain_function(function: Function, enter: Enter) -> Function:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with enter(args, kwargs) as (call_args, call_kwargs):
            return function(*call_args, **call_kwargs)

    return wrapper


def _generator(function: Function, enter: Enter) -> Function:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with enter(args, kwargs) as (call_args, call_kwargs):
            return (yield from function(*call_args, **call_kwargs))

    return wrapper


def _async_function(function: Function, enter: Enter) -> Function:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with enter(args, kwargs) as (call_args, call_kwargs):
            return await function(*call_args, **call_kwargs)

    return wrapper


def _async_generator(function: Function, enter: Enter) -> Function:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        with enter(args, kwargs) as (call_args, call_kwargs):
            generator = function(*call_args, **call_kwargs)
            step = generator.__anext__()
            while True:  # Python has no `yield from` for async generators
                try:
                    value = await step
                except StopAsyncIteration:
                    return
                try:
                    step = generator.asend((yield value))
                except GeneratorExit:
                    await generator.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - the generator handles whatever is thrown into it
                    step = generator.athrow(error)

    return wrapper


def _add_cloud(
    parameters: list[inspect.Parameter], mithril: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Arguments:
    """Return the arguments with the cloud at the position of its parameter, if the function has one."""
    names = [parameter.name for parameter in parameters]
    if PARAMETER not in names:
        return args, kwargs
    index = names.index(PARAMETER)
    if index > len(args) or parameters[index].kind is inspect.Parameter.KEYWORD_ONLY:
        return args, {**kwargs, PARAMETER: mithril}
    return (*args[:index], mithril, *args[index:]), kwargs


def _replace_monkeypatch(stack: ExitStack, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with pytest's MonkeyPatch replaced by a new one that ends inside the mock.

    Pytest undoes its own after the mock has ended, and would restore the mock's variables then.
    """
    pytest = sys.modules.get("pytest")
    if pytest is None:
        return kwargs
    names = [name for name, value in kwargs.items() if type(value) is pytest.MonkeyPatch]
    return {**kwargs, **{name: stack.enter_context(pytest.MonkeyPatch.context()) for name in names}}


# --- classes ---------------------------------------------------------------------------------------------------------


def _decorate_class(cls: Any) -> Any:
    """Run every test of a class and its subclasses in a cloud of its own, that of the nearest decorator."""
    if hasattr(cls, MARK):
        return cls
    if issubclass(cls, unittest.TestCase):
        cls.run = _wrap_run(cls.run)
    else:
        _wrap_setup(cls)
        cls.__init_subclass__ = _make_init_subclass(cls)
    return cls


def _wrap_run(run: Function) -> Function:
    """Return unittest's `run` (setUp, the test, tearDown and the cleanups) inside a cloud."""

    @wraps(run)
    def wrapper(self: Any, result: Any = None) -> Any:
        with ExitStack() as stack:
            try:
                self.mithril = stack.enter_context(getattr(self, MARK))
            except Exception as error:  # noqa: BLE001 - raised from setUp, so that unittest reports it for this test
                self.setUp = _make_raising_setup(error)
            return run(self, result)

    return wrapper


def _make_raising_setup(error: Exception) -> Callable[[], None]:
    def set_up() -> None:
        raise error

    return set_up


def _wrap_setup(cls: Any) -> None:
    """Start the cloud in the first setup_method that is called, and stop it when the first teardown_method returns."""
    originals = {name: vars(cls).get(name) for name in ("setup_method", "teardown_method")}

    def call(self: Any, name: str, method: Any) -> None:
        original = originals[name]
        bound = getattr(super(cls, self), name, None) if original is None else original.__get__(self, type(self))
        if bound is not None:
            bound(*[method][: len(inspect.signature(bound).parameters)])

    def setup_method(self: Any, method: Any = None) -> None:
        if PARAMETER in vars(self):
            call(self, "setup_method", method)
            return
        with ExitStack() as stack:
            self.mithril = stack.enter_context(getattr(self, MARK))
            stack.callback(vars(self).pop, PARAMETER)
            call(self, "setup_method", method)
            self.leave_mithril = stack.pop_all().close

    def teardown_method(self: Any, method: Any = None) -> None:
        with ExitStack() as stack:
            if "leave_mithril" in vars(self):
                stack.callback(vars(self).pop("leave_mithril"))
            call(self, "teardown_method", method)

    cls.setup_method, cls.teardown_method = setup_method, teardown_method


def _make_init_subclass(cls: Any) -> Any:
    """Return an `__init_subclass__` that wraps the setup of subclasses: theirs may not call the inherited one."""
    original = vars(cls).get("__init_subclass__")

    def init_subclass(subclass: Any, /, **kwargs: Any) -> None:
        if original is None:
            super(cls, subclass).__init_subclass__(**kwargs)
        else:
            original.__get__(None, subclass)(**kwargs)
        _wrap_setup(subclass)

    return classmethod(init_subclass)
