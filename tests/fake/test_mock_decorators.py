"""mock_mithril as a decorator of functions, generators, fixtures and classes, under pytest and unittest."""

from __future__ import annotations

import asyncio
import inspect
import os
import unittest
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import flow
import pytest
from support.program import environment, rent, run_async

from flow_resources.testing import FakeMithril, mock_mithril

# --- functions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bid", [20.0, 30.0])
@mock_mithril(boot_seconds=3)
def test_fixtures_and_parameters_work_beside_the_cloud(tmp_path: Path, mithril: FakeMithril, bid: float) -> None:
    """The parameter `mithril` is the running cloud, and pytest's own are pytest's."""
    assert (mithril.boot_seconds, tmp_path.is_dir(), bid in (20.0, 30.0)) == (3, True, True)
    assert os.environ["MITHRIL_API_URL"] == mithril.url


@mock_mithril
@mock.patch("os.getcwd", return_value="inner")
def test_a_patch_below_works(getcwd: mock.Mock, mithril: FakeMithril) -> None:
    """Its argument is its own."""
    assert (os.getcwd(), mithril.url) == ("inner", os.environ["MITHRIL_API_URL"])  # noqa: PTH109


@mock.patch("os.getcwd", return_value="outer")
@mock_mithril
def test_a_patch_above_works(getcwd: mock.Mock, mithril: FakeMithril) -> None:
    """In either order."""
    assert (os.getcwd(), mithril.url) == ("outer", os.environ["MITHRIL_API_URL"])  # noqa: PTH109


def first(mithril: Any, one: int) -> Any:
    return mithril, one


def last(one: int, mithril: Any) -> Any:
    return mithril, one


def keyword(one: int, *, mithril: Any = None) -> Any:
    return mithril, one


def positional(mithril: Any, one: int, /) -> Any:
    return mithril, one


@pytest.mark.parametrize("function", [first, last, keyword, positional])
def test_the_cloud_comes_where_the_parameter_stands(function: Any) -> None:
    """And the signature lacks the parameter."""
    decorated = mock_mithril(function)
    mithril, one = decorated(1)
    assert (type(mithril), one) == (FakeMithril, 1)
    assert list(inspect.signature(decorated).parameters) == ["one"]
    if function is not positional:
        assert decorated(one=2)[1] == 2


def test_a_function_without_the_parameter_is_given_nothing() -> None:
    """Its name, docstring and result are its own."""

    @mock_mithril
    def url() -> str:
        """Where."""
        return os.environ["MITHRIL_API_URL"]

    assert (url.__name__, url.__doc__) == ("url", "Where.")
    assert url().startswith("http://127.0.0.1:")


def test_every_call_has_a_fresh_cloud_also_within_itself() -> None:
    """The inner one is seen until it ends."""

    @mock_mithril
    def descend(depth: int, mithril: FakeMithril) -> list[int]:
        mithril.add_bid()
        deeper = descend(depth - 1) if depth else []
        mithril.add_bid()
        return [*deeper, len(mithril.bids)]

    assert descend(2) == [2, 2, 2]
    assert descend(0) == [2]


def test_an_async_function_keeps_its_cloud_while_it_waits() -> None:
    """And is still an async function."""

    @mock_mithril()
    async def run(mithril: FakeMithril) -> int:
        await asyncio.to_thread(rent)
        return len(mithril.bids)

    assert inspect.iscoroutinefunction(run)
    assert run_async(run()) == 1


@pytest.fixture
@mock_mithril(region="eu-central1-a")
def world(mithril: FakeMithril, tmp_path: Path) -> Iterator[FakeMithril]:
    """A cloud with a volume, as a fixture of the project."""
    mithril.add_volume("corpus")
    yield mithril
    assert os.environ["MITHRIL_API_URL"] == mithril.url


def test_a_generator_is_a_fixture_as_before(world: FakeMithril) -> None:
    """The mock lasts until the fixture is torn down."""
    with flow.Flow() as client:
        assert [volume.name for volume in client.volumes.list()] == ["corpus"]
    assert world.region == "eu-central1-a"


def test_an_async_generator_is_one_as_before() -> None:
    """What is sent or thrown into it arrives, and its end is the mock's."""
    before = environment()
    ended: list[bool] = []

    @mock_mithril
    async def steps(mithril: FakeMithril) -> AsyncIterator[str]:
        try:
            got = yield mithril.url
            yield f"got {got}"
        except KeyError:
            yield "caught"
        finally:
            ended.append(os.environ["MITHRIL_API_URL"] == mithril.url)

    async def walk() -> None:
        generator = steps()
        assert await anext(generator) == os.environ["MITHRIL_API_URL"]
        assert await generator.asend("a bone") == "got a bone"
        assert await generator.athrow(KeyError) == "caught"
        with pytest.raises(StopAsyncIteration):
            await anext(generator)
        assert environment() == before
        closed = steps()
        await anext(closed)
        await closed.aclose()
        assert ended == [True, True]
        assert environment() == before
        async with asynccontextmanager(steps)() as url:
            assert url == os.environ["MITHRIL_API_URL"]

    assert inspect.isasyncgenfunction(steps)
    with pytest.raises(RuntimeError, match="didn't stop"):
        run_async(walk())
    assert environment() == before


def test_a_static_and_a_class_method_stay_what_they_are() -> None:
    """Decorated below or above."""

    class Programs:
        @mock_mithril
        @staticmethod
        def one(mithril: FakeMithril) -> str:
            return mithril.url

        @classmethod
        @mock_mithril
        def other(cls, mithril: FakeMithril) -> str:
            return f"{cls.__name__} {mithril.url}"

    assert Programs.one().startswith("http://")
    assert Programs().other().startswith("Programs http://")


@pytest.mark.parametrize("target", [8080, world, "name"])
def test_what_cannot_be_decorated_is_refused(target: Any) -> None:
    """A port without its name, and a fixture from above."""
    with pytest.raises(TypeError, match="decorates functions and classes"):
        mock_mithril(target)


def test_what_a_test_patches_inside_does_not_bring_the_mocks_variables_back() -> None:
    """Pytest undoes its monkeypatch after the mock has ended; the function is given one of its own."""
    before = environment()
    pytests = pytest.MonkeyPatch()

    @mock_mithril
    def changing(monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("MITHRIL_REGION", "eu-central1-a")
        monkeypatch.delenv("MITHRIL_PROJECT")
        return os.environ["MITHRIL_REGION"]

    assert changing(monkeypatch=pytests) == "eu-central1-a"
    pytests.undo()
    assert environment() == before


# --- classes ---------------------------------------------------------------------------------------------------------


def outcome(cls: type[unittest.TestCase]) -> unittest.TestResult:
    """Run the tests of a class as unittest does, in a thread of its own for the sake of the event loop."""
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(cls)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(suite.run, unittest.TestResult()).result()


@mock_mithril(region="eu-central1-a")
class Rents(unittest.TestCase):
    """One bid from setUp; those of other tests are not visible."""

    def setUp(self) -> None:
        self.addCleanup(self.rent, 3)
        self.rent(1)

    def tearDown(self) -> None:
        self.rent(2)

    def rent(self, number: int) -> None:
        self.mithril.add_bid()
        assert len(self.mithril.bids) == number

    def test_one(self) -> None:
        assert self.mithril.region == "eu-central1-a"

    def test_other(self) -> None:
        assert os.environ["MITHRIL_API_URL"] == self.mithril.url


class RentsInItsOwnWay(Rents):
    """A setUp that does not call the one it inherits."""

    def setUp(self) -> None:
        self.rent(1)
        self.addCleanup(self.rent, 3)


@mock_mithril
class RentsElsewhere(Rents):
    """The nearest decorator decides."""

    def test_one(self) -> None:
        assert self.mithril.region == "us-central5-a"


@mock_mithril
class RentsAsync(unittest.IsolatedAsyncioTestCase):
    """With all that unittest calls in the loop; only unittest runs it, in a thread of its own as `run_async` does."""

    __test__ = False

    async def asyncSetUp(self) -> None:
        self.mithril.add_bid()

    async def asyncTearDown(self) -> None:
        assert len(self.mithril.bids) == 2

    async def test_one(self) -> None:
        async with mock_mithril() as inner:
            assert (len(inner.bids), len(self.mithril.bids)) == (0, 1)
        self.mithril.add_bid()


@pytest.mark.parametrize(
    ("cls", "count"),
    [(Rents, 2), (RentsInItsOwnWay, 2), (RentsElsewhere, 2), (RentsAsync, 1)],
    ids=str,
)
def test_every_test_of_a_testcase_has_a_cloud_around_its_set_up_and_tear_down(cls: Any, count: int) -> None:
    """Also in classes that inherit, and afterwards all is as before."""
    before = environment()
    result = outcome(cls)
    assert (result.testsRun, result.errors, result.failures) == (count, [], [])
    assert environment() == before


def test_what_fails_in_a_testcase_is_reported_and_leaves_nothing() -> None:
    """An error in setUp, in the test, in tearDown."""
    before = environment()

    @mock_mithril
    class Fails(unittest.TestCase):
        def setUp(self) -> None:
            if "set_up" in self._testMethodName:
                raise ZeroDivisionError

        def tearDown(self) -> None:
            raise ZeroDivisionError

        def test_set_up(self) -> None: ...

        def test_tear_down(self) -> None: ...

    assert len(outcome(Fails).errors) == 2
    assert environment() == before


def test_a_cloud_that_cannot_begin_is_an_error_of_that_test() -> None:
    """And not the end of the whole run."""

    @mock_mithril(region="nowhere")
    class Lost(unittest.TestCase):
        def test_one(self) -> None: ...

        def test_other(self) -> None: ...

    result = outcome(Lost)
    assert result.testsRun == 2
    assert ["nowhere" in text for _, text in result.errors] == [True, True]


@mock_mithril(boot_seconds=3)
class TestSetupMethod:
    """Pytest's own kind of class."""

    def setup_method(self, method: Any) -> None:
        assert method.__name__.startswith("test_")
        self.mithril.add_bid()

    def teardown_method(self) -> None:
        assert os.environ["MITHRIL_API_URL"] == self.mithril.url

    def test_the_cloud_is_there_in_setup_and_teardown(self, tmp_path: Path) -> None:
        """Fixtures work beside it."""
        assert (len(self.mithril.bids), self.mithril.boot_seconds, tmp_path.is_dir()) == (1, 3, True)

    def test_every_test_has_its_own(self) -> None:
        """One bid again."""
        assert len(self.mithril.bids) == 1


class TestSetupMethodOfItsOwn(TestSetupMethod):
    """Inherits the cloud, and not the bid."""

    def setup_method(self) -> None:
        assert self.mithril.bids == []
        self.mithril.add_bid()

    def teardown_method(self) -> None:
        super().teardown_method()
        self.mithril.preempt(self.mithril.bids[0]["fid"])


@mock_mithril
class TestSetupMethodElsewhere(TestSetupMethodOfItsOwn):
    """The nearest decorator decides."""

    def setup_method(self) -> None:
        cloud = self.mithril
        super().setup_method()
        assert (self.mithril is cloud, cloud.boot_seconds) == (True, 0)

    def test_the_cloud_is_there_in_setup_and_teardown(self) -> None:
        """With the options of this class."""
        assert len(self.mithril.bids) == 1


@mock_mithril
class TestNeither:
    """No setup_method at all."""

    def test_the_cloud_is_there(self) -> None:
        """As self.mithril."""
        assert self.mithril.url == os.environ["MITHRIL_API_URL"]


def test_a_setup_method_that_fails_leaves_nothing() -> None:
    """Pytest calls no teardown_method then."""
    before = environment()

    @mock_mithril
    class Fails:
        def setup_method(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Fails().setup_method()
    assert environment() == before


class Registered:
    """It receives its subclasses."""

    subclasses: ClassVar[list[Any]] = []

    def __init_subclass__(cls, *, label: str = "") -> None:
        cls.subclasses.append((cls.__name__, label))


@mock_mithril
class Inherits(Registered):
    """Has the hook of its base."""


@mock_mithril
class Defines(Registered):
    """Has one of its own."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)


@pytest.mark.parametrize("base", [Inherits, Defines])
def test_a_class_keeps_what_it_does_with_its_subclasses(base: Any) -> None:
    """Its `__init_subclass__`, its own or its base's, with the options of the class statement."""
    Registered.subclasses.clear()

    class Sub(base, label="x"):
        def setup_method(self) -> None:
            self.url = self.mithril.url

    sub = Sub()
    sub.setup_method()
    assert Registered.subclasses == [("Sub", "x")]
    assert sub.url == os.environ["MITHRIL_API_URL"]
    sub.teardown_method()
    assert "mithril" not in vars(sub)
