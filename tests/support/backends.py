"""Self-managed backends that teams use, each a server of its own here: S3 (moto's) and Postgres (Debian's)."""

from __future__ import annotations

import getpass
import importlib.util
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import httpx

PATIENCE = 60.0  # seconds
_VERSIONS_OF_POSTGRES = "/usr/lib/postgresql"


class BackendServer(ABC):
    """A running server; `new` makes an empty backend on it."""

    def __init__(self) -> None:
        self.port = _free_port()
        self._numbers = itertools.count(1)

    @classmethod
    @abstractmethod
    def missing(cls) -> str:
        """Return why it cannot be started here; empty where it can."""

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until it answers."""

    @abstractmethod
    def new(self) -> dict[str, str]:
        """Make an empty backend and return the environment that logs in to it."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it."""


class S3(BackendServer):
    """Moto's server, in memory."""

    @classmethod
    def missing(cls) -> str:
        is_there = all(importlib.util.find_spec(name) for name in ("moto", "flask"))
        return "" if is_there else "no moto: pip install 'flow-resources[backends]'"

    def start(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait_until_it_listens(self.port, self._process)

    def new(self) -> dict[str, str]:
        bucket = f"states-{next(self._numbers)}"
        httpx.put(f"http://127.0.0.1:{self.port}/{bucket}", trust_env=False).raise_for_status()
        query = f"endpoint=http://127.0.0.1:{self.port}&s3ForcePathStyle=true&region=us-east-1"
        return {
            "PULUMI_BACKEND_URL": f"s3://{bucket}?{query}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Postgres(BackendServer):
    """A cluster in a temporary folder. Postgres refuses to run as root, so root runs it as the package's user."""

    @classmethod
    def missing(cls) -> str:
        if not (_find("initdb") and _find("pg_ctl")):
            return "no Postgres: apt-get install postgresql"
        if os.geteuid() == 0 and not _has_user(_OWNER):
            return f"Postgres does not run as root, and there is no user {_OWNER}"
        return ""

    def start(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        if os.geteuid() == 0:
            shutil.chown(self._folder, _OWNER)
        self._run("initdb", "-D", "data", "-A", "trust", "-U", "pulumi", "--no-sync")
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-o", options, "start")

    def new(self) -> dict[str, str]:
        database = f"states{next(self._numbers)}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "pulumi", database)
        return {"PULUMI_BACKEND_URL": f"postgres://pulumi@127.0.0.1:{self.port}/{database}?sslmode=disable"}

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        as_owner: dict[str, Any] = {"user": _OWNER, "group": _OWNER} if os.geteuid() == 0 else {}
        done = subprocess.run(
            [_find(program) or program, *arguments], cwd=self._folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False, **as_owner,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


_OWNER = "postgres" if os.geteuid() == 0 else getpass.getuser()


def _find(program: str) -> str | None:
    """Return the path of a program of Postgres: Debian has them beside PATH, one folder a version."""
    beside = sorted(Path(_VERSIONS_OF_POSTGRES).glob(f"*/bin/{program}"), reverse=True)
    return shutil.which(program) or (str(beside[0]) if beside else None)


def _has_user(name: str) -> bool:
    import pwd

    return any(entry.pw_name == name for entry in pwd.getpwall())


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, f"the server ended with {process.returncode}"
        assert time.monotonic() < until, "the server does not listen"
        time.sleep(0.05)
