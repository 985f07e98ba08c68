"""What the same calls cost with the bare Flow SDK, without Pulumi and without this package.

Reads requests from standard input (JSON: method, path, query, body), sends them with the SDK's own client, so many at
once as the argument says, and prints the seconds from the SDK's first import to the last answer, and the errors of what
changes something.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def main() -> None:
    """Send them in their order, each as soon as a thread is free."""
    requests = json.load(sys.stdin)
    began = time.perf_counter()
    from flow import Flow
    from flow.errors import FlowError

    http = Flow().provider.ctx.http

    def send(one: dict[str, Any]) -> str:
        try:
            http.request(one["method"], one["path"], json=one["body"], params=one["query"] or None, bypass_cache=True)
        except FlowError as error:
            if one["method"] != "GET":  # what is read is perhaps not there yet: another thread is about to make it
                return str(error)
        return ""

    with ThreadPoolExecutor(int(sys.argv[1])) as pool:
        errors = list(filter(None, pool.map(send, requests)))
    print(json.dumps({"seconds": time.perf_counter() - began, "errors": errors}))


if __name__ == "__main__":
    main()
