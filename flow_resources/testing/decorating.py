"""Putting a mock around functions and classes, so that pytest and unittest see what they would see without it.

A mock is here any context manager that returns a cloud and can be entered again and again.
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
Given = tuple[tuple[Any, ...], dict[str, Any]]
Running = Callable[..., AbstractContextManager[Given]]

PARAMETER = "mithril"
MARK = "__mock_mithril__"
"""The attribute of a decorated function or class that holds its mock."""


def decorate(mock: Mock, target: Any) -> Any:
    """Return the function or class with the mock around it. Raises TypeError for anything else."""
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
    def running(args: tuple[Any, ...], options: dict[str, Any]) -> Iterator[Given]:
        with ExitStack() as stack:
            mithril = stack.enter_context(mock)
            yield _with_cloud(parameters, mithril, args, _with_own_monkeypatch(stack, options))

    if inspect.isasyncgenfunction(function):
        wrapper = _async_generator(function, running)
    elif inspect.iscoroutinefunction(function):
        wrapper = _async_function(function, running)
    elif inspect.isgeneratorfunction(function):
        wrapper = _generator(function, running)
    else:
        wrapper = _plain_function(function, running)
    # Pytest must not take the parameter for a fixture.
    others = [one for one in parameters if one.name != PARAMETER]
    wrapper.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
    return wrapper


def _plain_function(function: Function, running: Running) -> Function:
    @wraps(function)
    def wrapper(*args: Any, **options: Any) -> Any:
        with running(args, options) as (given, named):
            return function(*given, **named)

    return wrapper


def _generator(function: Function, running: Running) -> Function:
    @wraps(function)
    def wrapper(*args: Any, **options: Any) -> Generator[Any, Any, Any]:
        with running(args, options) as (given, named):
            return (yield from function(*given, **named))

    return wrapper


def _async_function(function: Function, running: Running) -> Function:
    @wraps(function)
    async def wrapper(*args: Any, **options: Any) -> Any:
        with running(args, options) as (given, named):
            return await function(*given, **named)

    return wrapper


def _async_generator(function: Function, running: Running) -> Function:
    @wraps(function)
    async def wrapper(*args: Any, **options: Any) -> AsyncIterator[Any]:
        with running(args, options) as (given, named):
            generator = function(*given, **named)
            step = generator.__anext__()
            while True:  # `yield from` for async generators, which the language does not have
                try:
                    value = await step
                except StopAsyncIteration:
                    return
                try:
                    step = generator.asend((yield value))
                except GeneratorExit:
                    await generator.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - whatever is thrown in is the generator's to handle
                    step = generator.athrow(error)

    return wrapper


def _with_cloud(
    parameters: list[inspect.Parameter], mithril: Any, args: tuple[Any, ...], options: dict[str, Any]
) -> Given:
    """Return the arguments with the cloud where the function has its parameter."""
    names = [one.name for one in parameters]
    if PARAMETER not in names:
        return args, options
    place = names.index(PARAMETER)
    if place > len(args) or parameters[place].kind is inspect.Parameter.KEYWORD_ONLY:
        return args, {**options, PARAMETER: mithril}
    return (*args[:place], mithril, *args[place:]), options


def _with_own_monkeypatch(stack: ExitStack, options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with a MonkeyPatch of the function's own in the place of pytest's.

    Pytest's is undone after the mock has ended, and would then bring the mock's variables back.
    """
    pytest = sys.modules.get("pytest")
    if pytest is None:
        return options
    patching = [name for name, value in options.items() if type(value) is pytest.MonkeyPatch]
    return {**options, **{name: stack.enter_context(pytest.MonkeyPatch.context()) for name in patching}}


# --- classes ---------------------------------------------------------------------------------------------------------


def _decorate_class(cls: Any) -> Any:
    """Let every test of a class, and of classes that inherit from it, run in a cloud: that of the nearest decorator."""
    if hasattr(cls, MARK):
        return cls
    if issubclass(cls, unittest.TestCase):
        cls.run = _in_cloud(cls.run)
    else:
        _surround_setup(cls)
        cls.__init_subclass__ = _surrounding_subclasses(cls)
    return cls


def _in_cloud(run: Function) -> Function:
    """Return unittest's `run`, which is setUp, the test, tearDown and the cleanups, with a cloud around it."""

    @wraps(run)
    def wrapper(self: Any, result: Any = None) -> Any:
        with ExitStack() as stack:
            try:
                self.mithril = stack.enter_context(getattr(self, MARK))
            except Exception as error:  # noqa: BLE001 - raised from setUp, so that it is reported as this test's
                self.setUp = _raising(error)
            return run(self, result)

    return wrapper


def _raising(error: Exception) -> Callable[[], None]:
    def set_up() -> None:
        raise error

    return set_up


def _surround_setup(cls: Any) -> None:
    """Begin the cloud in the first setup_method that is called, and end it when the first teardown_method returns."""
    own = {name: vars(cls).get(name) for name in ("setup_method", "teardown_method")}

    def call(self: Any, name: str, method: Any) -> None:
        found = own[name]
        bound = getattr(super(cls, self), name, None) if found is None else found.__get__(self, type(self))
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


def _surrounding_subclasses(cls: Any) -> Any:
    """Return an `__init_subclass__`: a class that inherits may have methods that do not call those of this one."""
    own = vars(cls).get("__init_subclass__")

    def init_subclass(sub: Any, /, **options: Any) -> None:
        if own is None:
            super(cls, sub).__init_subclass__(**options)
        else:
            own.__get__(None, sub)(**options)
        _surround_setup(sub)

    return classmethod(init_subclass)
