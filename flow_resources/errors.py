"""Everything that can go wrong, split by what the caller does about it.

    FlowResourcesError        one line for the person, with a remedy
    ├── ConfigError           no usable API key; the message names the three places for it
    ├── AccountMismatchError  a key, project or service other than the recorded one: touch nothing
    ├── RejectedError         the service refused (4xx): nothing happened
    │   └── NotFoundError     404; proof of absence only in the recorded account
    ├── UnavailableError      no readable answer (reset, time-out, 5xx): it may or may not have happened
    ├── ApprovalPendingError  202, held for the account owner's approval: nothing exists yet
    ├── OwnershipError        something that is not ours stands where ours should
    ├── TerminatedError       the bid is terminal: a refresh, then an `up`, makes a new one
    ├── NotReadyError         the time limit passed; the id is recorded and the next `up` goes on
    └── JobFailedError        a job that was waited for has failed: it is recorded as failed, and nothing runs again

No type of the Flow SDK or of an HTTP library leaves `cloud/`: it travels as the `__cause__` of one of these.
Messages name what was asked, what is wrong and what to do, and never carry a key.
"""

from __future__ import annotations


class FlowResourcesError(Exception):
    """Base of all errors of this package: a message and what to do about it, printed as one line."""

    def __init__(self, message: str, remedy: str = "", status: int = 0) -> None:
        self.message, self.status = one_line(message), status
        """`status`: the HTTP status behind it, 0 where there was none."""
        self.remedy = one_line(remedy)
        super().__init__(f"{self.message}: {self.remedy}" if self.remedy else self.message)


class ConfigError(FlowResourcesError):
    """No usable API key, or a setting that cannot be right."""


class AccountMismatchError(FlowResourcesError):
    """The settings point at another service, account or project than the state records."""


class RejectedError(FlowResourcesError):
    """The service refused the request; nothing happened."""


class NotFoundError(RejectedError):
    """The service answered 404."""


class UnavailableError(FlowResourcesError):
    """No readable answer came: the request may or may not have had its effect."""


class ApprovalPendingError(FlowResourcesError):
    """The request is held for the account owner's approval; nothing exists yet."""


class OwnershipError(FlowResourcesError):
    """A live bid or volume that is not ours has the name, or the id, that ours should have."""


class TerminatedError(FlowResourcesError):
    """The bid behind the resource has ended."""


class NotReadyError(FlowResourcesError):
    """What was asked for did not come about within the time limit."""


class JobFailedError(FlowResourcesError):
    """The work of a job failed, which an `up` tells once."""

    def __init__(self, message: str, remedy: str, snapshot: object) -> None:
        super().__init__(message, remedy)
        self.snapshot = snapshot
        """The job as it was seen, which is recorded."""


def one_line(text: str, limit: int = 600) -> str:
    """Fold white space and cut: an error is a line, not a page."""
    folded = " ".join(text.split())
    return folded if len(folded) <= limit else folded[: limit - 1] + "…"
