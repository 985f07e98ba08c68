"""`flow-resources`, the command: one subcommand a job, each of which lives where its job lives.

What is wrong on the command line is one line and exit code 2.
"""

from __future__ import annotations

from collections.abc import Sequence

from flow_resources.testing import command as fake


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the subcommand that the arguments (by default the process's own) name, and return its exit code."""
    parser = fake.LineParser(prog="flow-resources", description="Tools around spot GPU clusters on Mithril.")
    jobs = parser.add_subparsers(title="commands", metavar="COMMAND")
    job = jobs.add_parser("fake", help="serve a fake Mithril", description=fake.DESCRIPTION, epilog=fake.EPILOG)
    fake.add_arguments(job)
    job.set_defaults(run=fake.run)
    asked = parser.parse_args(arguments)
    if not hasattr(asked, "run"):
        parser.error("say what to do: flow-resources fake, or flow-resources --help")
    code: int = asked.run(asked)
    return code
