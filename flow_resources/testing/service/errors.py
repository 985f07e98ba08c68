"""The error responses of the API, one class per status code.

ApiError
 ├ UnauthorizedError      401  no API key, or an unknown one
 ├ ForbiddenError         403  no access to the project
 ├ NotFoundError          404
 ├ MethodNotAllowedError  405
 ├ BadRequestError        400  valid, but not possible in the present state
 ├ ConflictError          409  a name or an Idempotency-Key that is in use
 ├ TooLargeError          413
 ├ InvalidError           422  lists every wrong field
 └ NotStoredError         500  the state file cannot be written; nothing was changed
"""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An error response; raised below the HTTP layer, and sent by `web.request_handler`."""

    status = 500

    def __init__(self, detail: str) -> None:
        """Set the value of "detail" in the response."""
        super().__init__(detail)
        self.detail: Any = detail


class UnauthorizedError(ApiError):
    """There is no API key, or it is unknown, expired or revoked."""

    status = 401


class ForbiddenError(ApiError):
    """The user has no access to the project."""

    status = 403


class NotFoundError(ApiError):
    """Nothing with this id exists that the user has access to."""

    status = 404


class MethodNotAllowedError(ApiError):
    """The path exists, but not with this method."""

    status = 405


class BadRequestError(ApiError):
    """The request is valid, but not possible in the present state."""

    status = 400


class ConflictError(ApiError):
    """The name or the Idempotency-Key is in use."""

    status = 409


class TooLargeError(ApiError):
    """The request body is too large."""

    status = 413


class InvalidError(ApiError):
    """One or more fields are wrong."""

    status = 422

    def __init__(self, problems: list[dict[str, Any]]) -> None:
        """Set the list of problems, each with loc, msg and type, as the service writes them."""
        super().__init__(sentence(problems))
        self.detail = problems


class NotStoredError(ApiError):
    """The state file cannot be written, for example because the disk is full; nothing was changed."""


class FieldError(ValueError):
    """The value of an argument or an option is invalid."""

    def __init__(self, field: str, rule: str, got: object) -> None:
        """Write the message: the field, the rule, and the value."""
        super().__init__(f"{field} must be {rule}, got {got!r}")
        self.field = field


def sentence(detail: Any) -> str:
    """Return the value of "detail" as one line of text."""
    if isinstance(detail, str):
        return detail
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in detail)


def problem(loc: tuple[str | int, ...], msg: str, kind: str = "value_error") -> dict[str, Any]:
    """Return one problem in a 422 response."""
    return {"loc": list(loc), "msg": msg, "type": kind}
