"""What the service refuses, one small class per status code.

ApiError
 ├ UnauthorizedError      401  no key, or one nobody knows
 ├ ForbiddenError         403  a project of somebody else
 ├ NotFoundError          404
 ├ MethodNotAllowedError  405
 ├ BadRequestError        400  understood, and not possible now
 ├ ConflictError          409  a name or an Idempotency-Key that is taken
 ├ TooLargeError          413
 ├ InvalidError           422  a field is wrong; carries every wrong field at once
 └ NotStoredError         500  the state file cannot be written; nothing happened
"""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """A refusal on its way to the client: rooms below HTTP raise it, `serving` turns it into an answer."""

    status = 500

    def __init__(self, detail: str) -> None:
        """Keep the sentence that goes under "detail"."""
        super().__init__(detail)
        self.detail: Any = detail


class UnauthorizedError(ApiError):
    """No key, or one nobody knows."""

    status = 401


class ForbiddenError(ApiError):
    """The project belongs to somebody else."""

    status = 403


class NotFoundError(ApiError):
    """Nothing of that id that the key may see."""

    status = 404


class MethodNotAllowedError(ApiError):
    """The path exists, but not with this verb."""

    status = 405


class BadRequestError(ApiError):
    """Well formed, and not possible in the present state."""

    status = 400


class ConflictError(ApiError):
    """The name, or the Idempotency-Key, is taken."""

    status = 409


class TooLargeError(ApiError):
    """More than anybody reads."""

    status = 413


class InvalidError(ApiError):
    """One or more fields are wrong."""

    status = 422

    def __init__(self, problems: list[dict[str, Any]]) -> None:
        """Keep the service's own envelope: a list of loc, msg and type."""
        super().__init__(sentence(problems))
        self.detail = problems


class NotStoredError(ApiError):
    """The state file cannot be written, because the disk is full, for example. What was asked for did not happen."""


class FieldError(ValueError):
    """A value of a setting means nothing: which one, what it must be, and what it was."""

    def __init__(self, field: str, rule: str, got: object) -> None:
        """Say all three in one sentence."""
        super().__init__(f"{field} must be {rule}, got {got!r}")
        self.field = field


def sentence(detail: Any) -> str:
    """Return what stands under "detail" in one line."""
    if isinstance(detail, str):
        return detail
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in detail)


def problem(loc: tuple[str | int, ...], msg: str, kind: str = "value_error") -> dict[str, Any]:
    """Return one entry of the 422 envelope."""
    return {"loc": list(loc), "msg": msg, "type": kind}
