"""The pytest plugin, in separate pytest runs: its fixture and marker, and no effect on tests that use neither."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a file of tests with this plugin, and no others than those it names."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in [name for name in os.environ if name.startswith(("FLOW_", "MITHRIL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MITHRIL_PROJECT", "the developer's")

    def run(source: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(source)
        plugin = ("-p", "flow_resources.testing.plugin", "--strict-markers", "-Werror")
        return pytester.runpytest_subprocess(*plugin, *options, timeout=600)

    return run


def test_importing_the_plugin_costs_nothing() -> None:
    """Beside pytest three modules of ours, which are small: neither server nor engine nor SDK."""
    code = (
        "import sys, pytest; before = set(sys.modules); import flow_resources.testing.plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["flow_resources", "flow_resources.testing", "flow_resources.testing.plugin"]


def test_whoever_asks_for_nothing_gets_nothing(run: Run) -> None:
    """No cloud, no server and no change; also in doctests and in unittest's classes."""
    result = run(
        '''
        """
        >>> import os
        >>> os.environ["MITHRIL_PROJECT"]
        "the developer's"
        """
        import os, sys, unittest

        def test_function():
            assert os.environ["MITHRIL_PROJECT"] == "the developer's"
            assert not {"aiohttp", "pulumi", "flow", "flow_resources.testing.mocking"} & set(sys.modules)

        class TestCase(unittest.TestCase):
            test_method = lambda self: test_function()
        ''',
        "--doctest-modules",
    )
    result.assert_outcomes(passed=3)


def test_the_fixture_is_a_fresh_cloud_around_all_other_fixtures(run: Run) -> None:
    """Whatever the order of the parameters; also in async tests and in fixtures built on it; nothing is left of it."""
    result = run(
        """
        import os
        import flow
        import pytest

        @pytest.fixture(scope="session")
        def outer():
            return os.environ["MITHRIL_PROJECT"]

        @pytest.fixture
        def rented():
            yield flow.run("true", instance_type="8xa100", upload_code=False)
            assert os.environ["MITHRIL_PROJECT"] == "demo"

        @pytest.fixture(autouse=True)
        def untouched(request):
            yield
            if request.node.name == "test_after":
                assert os.environ["MITHRIL_PROJECT"] == "the developer's"

        @pytest.mark.parametrize("time", [1, 2])
        def test_fresh(rented, monkeypatch, outer, mithril, time):
            assert outer == "the developer's"
            assert [bid["fid"] for bid in mithril.bids] == [rented.task_id]
            monkeypatch.setenv("MITHRIL_REGION", "eu-central1-a")
            monkeypatch.delenv("MITHRIL_PROJECT")
            monkeypatch.setenv("MITHRIL_PROJECT", "demo")

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio"])
        async def test_async(mithril, anyio_backend):
            assert os.environ["MITHRIL_API_URL"] == mithril.url

        class TestWithAVolume:
            @pytest.fixture
            def mithril(self, mithril):
                mithril.add_volume("corpus")
                return mithril

            def test_built_on(self, mithril):
                assert [volume["name"] for volume in mithril.volumes] == ["corpus"]

        def test_after():
            ours = {name for name in os.environ if name.startswith(("MITHRIL_", "FLOW_"))}
            assert ours == {"MITHRIL_PROJECT"}
        """,
        *("-p", "anyio.pytest_plugin"),
    )
    result.assert_outcomes(passed=5)


def test_of_the_markers_the_nearest_wins_and_any_of_them_is_enough(run: Run) -> None:
    """Options are merged from the module, the class, the function and a parameter."""
    result = run(
        """
        import os, unittest
        import pytest

        pytestmark = pytest.mark.mithril(region="eu-central1-a", boot_seconds=1, page_limit=7)

        def test_module(mithril):
            assert (mithril.region, mithril.boot_seconds, mithril.options.page_limit) == ("eu-central1-a", 1, 7)

        @pytest.mark.mithril(boot_seconds=2)
        class TestClass:
            def test_class(self, mithril):
                assert (mithril.region, mithril.boot_seconds) == ("eu-central1-a", 2)

            @pytest.mark.mithril(boot_seconds=3, region="us-east1-a")
            def test_function(self, mithril):
                assert (mithril.region, mithril.boot_seconds, mithril.options.page_limit) == ("us-east1-a", 3, 7)

            @pytest.mark.parametrize("seconds", [pytest.param(4, marks=pytest.mark.mithril(boot_seconds=4))])
            def test_parameter(self, mithril, seconds):
                assert (mithril.region, mithril.boot_seconds) == ("eu-central1-a", seconds)

        def test_without_the_fixture():
            assert os.environ["MITHRIL_REGION"] == "eu-central1-a"

        class TestCase(unittest.TestCase):
            def test_method(self):
                assert os.environ["MITHRIL_REGION"] == "eu-central1-a"
        """,
    )
    result.assert_outcomes(passed=6)


def test_what_is_wrong_is_said(run: Run) -> None:
    """A positional option, one that does not exist, and two clouds for one test."""
    result = run(
        """
        import pytest
        from flow_resources.testing import mock_mithril

        @pytest.mark.mithril(3)
        def test_positional(mithril): ...

        @pytest.mark.mithril(boot_second=3)
        def test_unknown(mithril): ...

        @pytest.fixture
        def volume(mithril):
            return mithril.add_volume()

        @mock_mithril
        def test_both(volume, mithril): ...

        @mock_mithril
        class TestBoth:
            def test_method(self, mithril): ...

        @pytest.mark.mithril(region="nowhere")
        @mock_mithril
        def test_the_decorator_is_nearer_than_a_marker(mithril):
            assert mithril.region == "us-central5-a"
        """,
    )
    result.assert_outcomes(errors=4, passed=1)
    result.stdout.fnmatch_lines(
        [
            "the options of @pytest.mark.mithril are keywords, got (3,)",
            "E *unexpected keyword argument 'boot_second'*",
            "a test decorated with mock_mithril has its cloud: leave the fixture mithril out",
            "a test decorated with mock_mithril has its cloud: leave the fixture mithril out",
        ]
    )


def test_a_fixture_of_the_same_name_is_its_owners(run: Run, pytester: pytest.Pytester) -> None:
    """It is neither called earlier nor given a cloud."""
    pytester.makeconftest(
        """
        import os
        import pytest

        @pytest.fixture
        def mithril(tmp_path):
            assert os.environ["MITHRIL_PROJECT"] == "the developer's"
            return "theirs"
        """
    )
    result = run(
        """
        def test_theirs(mithril):
            assert mithril == "theirs"
        """
    )
    result.assert_outcomes(passed=1)


def test_without_the_extra_the_fixture_says_in_one_line_what_to_install(run: Run, pytester: pytest.Pytester) -> None:
    """No traceback through our rooms."""
    pytester.makeconftest("import sys; sys.modules['aiohttp'] = None")
    result = run("def test_cloud(mithril): ...")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["a fake Mithril needs aiohttp: pip install 'flow-resources?testing?'"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*server.py*")


def test_workers_do_not_see_each_other(run: Run, pytester: pytest.Pytester) -> None:
    """Two clouds at one time in two workers: each has the bid of its own program."""
    os.mkfifo(pytester.path / "meeting")
    result = run(
        """
        import os
        from pathlib import Path
        import flow

        def test_rents_one(mithril):
            task = flow.run("true", instance_type="8xa100", upload_code=False)
            meeting = Path("meeting")  # opening it waits for the other side
            if os.environ["PYTEST_XDIST_WORKER"] == "gw0":
                meeting.write_text(mithril.url)
            else:
                assert meeting.read_text() != mithril.url
            assert [bid["fid"] for bid in mithril.bids] == [task.task_id]
        """,
        *("-p", "xdist", "-n", "2", "--dist", "each"),
    )
    result.assert_outcomes(passed=2)
