"""One `up` in a process of its own: `python -m verbs.racing URL KEY PROJECT` prints its cluster's id, or the error."""

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
