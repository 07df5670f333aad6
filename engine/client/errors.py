"""What can go wrong when asking the API, as a closed tree.

ApiError
├── UnreachableError   the API did not answer
├── UnreadableError    it answered something this client does not understand
├── SignedOutError     the caller must sign in again
└── RefusedError       it answered with a problem (RFC 9457)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class ApiError(Exception):
    """A question to the API that brought no answer; `code` names why."""

    code = "api_error"


class UnreachableError(ApiError):
    """The API did not answer in time, or at all."""

    code = "unreachable"


class UnreadableError(ApiError):
    """The API answered with something else than was agreed."""

    code = "unreadable"


class SignedOutError(ApiError):
    """The tokens are no longer good and could not be renewed."""

    code = "signed_out"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field of the body that was sent."""

    field: str
    code: str
    detail: str


class RefusedError(ApiError):
    """The API said no: `status`, `code`, a text for people, and the fields at fault."""

    def __init__(
        self, status: int, code: str, detail: str, *, problem: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.problem: Mapping[str, Any] = problem or {}

    @property
    def fields(self) -> Sequence[FieldProblem]:
        """The fields at fault, in the order the API names them."""
        named = self.problem.get("fields") or ()
        return tuple(
            FieldProblem(str(one.get("field", "")), str(one.get("code", "")), str(one.get("detail", "")))
            for one in named
            if isinstance(one, dict)
        )
