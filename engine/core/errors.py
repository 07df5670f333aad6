"""Every failure of the product, as a closed tree; rendered once, as RFC 9457 problem JSON, in the reader's language.

MasterIAError
├── Invalid            422  what was sent does not fit; `fields` says where
├── NotFound           404
├── Conflict           409  the thing is in another state
│   └── WrongState     409  with the state it is in
├── Forbidden          403  the role may not do this
├── Unauthenticated    401
├── TooManyTries       429  with the seconds to wait
├── TooLarge           413
├── DatabaseAway       503
├── DecryptionFailed   500  a secret can't be read: wrong key, or altered
└── ProviderError           what a provider's answer means for the message
    ├── NotTaken            refused before it took effect: safe to try again
    ├── Throttled           not taken, and when to come back
    ├── Refused             final for this message
    ├── Misconfigured       the channel must stop until a person mends it
    └── Ambiguous           nobody can say; never resent by itself

Codes and texts: the code is stable and is what machines read; texts are gettext msgids in engine/locale.
"""

# ruff: noqa: N818 - these are answers, named as people say them: NotFound, Refused

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar


@dataclasses.dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field that does not fit: its path, a stable code, and a msgid with its values."""

    field: str
    code: str
    text: str
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class MasterIAError(Exception):
    """Base of all that may go wrong in a way we foresaw. `text` is a msgid; `values` fill its gaps."""

    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    code: str = "error"
    text: str = "Something went wrong on our side. Try again in a moment."

    def __init__(
        self,
        code: str | None = None,
        text: str | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        fields: Sequence[FieldProblem] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.code = code or type(self).code
        self.text = text or type(self).text
        self.values = dict(values or {})
        self.fields = tuple(fields)
        self.extra = dict(extra or {})
        super().__init__(f"{self.code}: {self.text % self.values if self.values else self.text}")


class Invalid(MasterIAError):
    """What was sent does not fit; `fields` says where."""

    status = 422
    code = "invalid"
    text = "Some of what you sent does not fit. Check the fields below."

    @classmethod
    def field(cls, name: str, code: str, text: str, **values: Any) -> "Invalid":
        """The common case: one field does not fit."""
        return cls(fields=[FieldProblem(name, code, text, values)])


class NotFound(MasterIAError):
    """There is no such row for this tenant."""

    status = 404
    code = "not_found"
    text = "We could not find this. It may have been deleted, or belong to another company."


@contextmanager
def at_field(name: str) -> Iterator[None]:
    """A block that looks up what a field of a body names: what is not found is told as Invalid, at that field."""
    try:
        yield
    except NotFound as error:
        raise Invalid.field(
            name, "not_found", "We could not find this. It may have been deleted. Choose another."
        ) from error


class Conflict(MasterIAError):
    """Something else changed it first."""

    status = 409
    code = "conflict"
    text = "This can't be done now, because something else changed it first. Reload and try again."


class WrongState(Conflict):
    """The verb does not fit the state, which is named, with those that it would fit where there are any."""

    code = "wrong_state"
    text = "This can't be done while it is %(state)s."

    def __init__(self, state: str, fits: Sequence[str] = ()) -> None:
        text = (
            "This can't be done while it is %(state)s. It can be while it is: %(states)s." if fits else None
        )
        states = tuple(map(str, fits))
        super().__init__(
            None, text, values={"state": state, "states": states}, extra={"state": state, "states": states}
        )


class Forbidden(MasterIAError):
    """The role may not do this."""

    status = 403
    code = "forbidden"
    text = "Your role does not allow this. Ask an owner or a manager of the company."


class Unauthenticated(MasterIAError):
    """Nobody is signed in, or no longer."""

    status = 401
    code = "unauthenticated"
    text = "Sign in again to go on."


class TooManyTries(MasterIAError):
    """Wait, and how long."""

    status = 429
    retryable = True
    code = "too_many_tries"
    text = "Too many tries. Wait %(seconds)s seconds and try again."

    def __init__(self, seconds: int, code: str | None = None, text: str | None = None) -> None:
        self.seconds = seconds
        super().__init__(code, text, values={"seconds": seconds}, extra={"retry_after": seconds})


class TooLarge(MasterIAError):
    """More than we take; values: limit."""

    status = 413
    code = "too_large"
    text = "This is too large. The limit is %(limit)s."


class DatabaseAway(MasterIAError):
    """The database can not be reached: nothing was changed, unless the answer to a commit was lost on its way."""

    status = 503
    retryable = True
    code = "database_away"
    text = "The database is not answering right now. Try again in a moment; look first whether it was done."


class DecryptionFailed(MasterIAError):
    """A blob does not open: altered, cut, moved, or its key is not here."""

    code = "decryption_failed"
    text = "A stored secret can't be read with the present key. Ask the person who runs this system."


class ProviderError(MasterIAError):
    """What a provider's answer means. `code` is ours; `provider_code` is the provider's own, kept for people."""

    status = 502
    code = "provider_error"
    text = "The provider did not accept this."

    def __init__(
        self,
        code: str | None = None,
        text: str | None = None,
        *,
        provider_code: str | None = None,
        detail: str = "",
        retry_after: float | None = None,
        scope: str = "message",
    ) -> None:
        super().__init__(code, text, extra={"provider_code": provider_code} if provider_code else None)
        self.provider_code = provider_code
        self.detail = detail
        self.retry_after = retry_after
        self.scope = scope


class NotTaken(ProviderError):
    """Refused before it took effect: safe to try again."""

    retryable = True
    code = "not_taken"
    text = "The provider could not be reached; we try again by ourselves."


class Throttled(NotTaken):
    """Slow down; `scope` says who: message (this person), channel (the number), account."""

    code = "throttled"
    text = "The provider asked us to slow down; we try again by ourselves."


class Refused(ProviderError):
    """Final for this message."""

    code = "refused"
    text = "The provider refused this message."


class Misconfigured(ProviderError):
    """The channel must stop until a person mends it."""

    code = "misconfigured"
    text = "The connection to the provider needs attention."


class Ambiguous(ProviderError):
    """Nobody can say whether it was taken; never resent by itself."""

    code = "ambiguous"
    text = "The provider did not answer in time. It may have gone out; we wait for its word and do not send twice."
