"""One `up` in a process: `python -m verbs.concurrent_up URL KEY PROJECT` prints the id of its cluster or an error."""

from __future__ import annotations

import sys

from support.stack import Stack, VerbError, cluster

if __name__ == "__main__":
    url, key, project = sys.argv[1:]
    stack = Stack({"flow:apiKey": key, "flow:apiUrl": url, "flow:project": project})
    try:
        stack.up({"trainer": cluster(ssh_keys=["team"])})
        print(stack.state["trainer"].id)  # noqa: T201 - what the parent reads
    except VerbError as error:
        print(error)  # noqa: T201
