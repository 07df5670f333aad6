"""Meta's errors: the codes, their words, and the body they travel in.

Source: Meta's error code page, as of September 2026. Callers branch on the code; titles are for looks.
"""

import secrets
from dataclasses import dataclass

ERROR_PAGE = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of Meta's table: the HTTP status of a refusal, the title, and what the details usually say."""

    status: int
    title: str
    details: str = ""
    transient: bool = False


CATALOGUE: dict[int, Entry] = {
    2: Entry(500, "Service temporarily unavailable", transient=True),
    4: Entry(429, "Application request limit reached"),
    10: Entry(403, "Application does not have permission for this action"),
    100: Entry(400, "Invalid parameter"),
    190: Entry(401, "Access token has expired"),
    368: Entry(403, "Temporarily blocked for policies violations"),
    2200: Entry(400, "Callback verification failed"),
    80007: Entry(429, "Rate limit issues", "The WhatsApp Business Account has reached its rate limit."),
    130403: Entry(
        400,
        "Business blocked the user",
        "Unable to deliver the message. This business has blocked the end user on WhatsApp",
    ),
    130429: Entry(429, "Rate limit hit", "Cloud API message throughput has been reached."),
    130472: Entry(
        400, "User's number is part of an experiment", "Message was not sent as part of an experiment."
    ),
    131000: Entry(500, "Something went wrong", "Message failed to send due to an unknown error."),
    131005: Entry(403, "Access denied", "Permission is either not granted or has been removed."),
    131008: Entry(400, "Required parameter is missing"),
    131009: Entry(400, "Parameter value is not valid"),
    131016: Entry(503, "Service unavailable", "A service is temporarily unavailable.", transient=True),
    131021: Entry(
        400,
        "Recipient cannot be sender",
        "The recipient phone number is the same as the sender phone number.",
    ),
    131026: Entry(400, "Message undeliverable", "Message Undeliverable."),
    131031: Entry(
        403,
        "Business Account locked",
        "The WhatsApp Business Account associated with the app has been restricted or disabled"
        " for violating a platform policy.",
    ),
    131037: Entry(
        400,
        "Display name approval required",
        "The business phone number does not have an approved display name.",
    ),
    131042: Entry(
        400, "Business eligibility payment issue", "There was an error related to your payment method."
    ),
    131047: Entry(
        400,
        "Re-engagement message",
        "More than 24 hours have passed since the recipient last replied to the sender number.",
    ),
    131048: Entry(
        429,
        "Spam rate limit hit",
        "Message failed to send because there are restrictions on how many messages can be sent"
        " from this phone number.",
    ),
    131049: Entry(
        400,
        "This message was not delivered to maintain healthy ecosystem engagement.",
        "In order to maintain a healthy ecosystem engagement, the message failed to be delivered.",
    ),
    131050: Entry(
        400,
        "User has stopped marketing messages",
        "This recipient has chosen to stop receiving marketing messages on WhatsApp from your business.",
    ),
    131051: Entry(400, "Unsupported message type", "Message type is not currently supported."),
    131052: Entry(400, "Media download error", "Unable to download the media sent by the user."),
    131053: Entry(400, "Media upload error", "Unable to upload the media used in the message."),
    131055: Entry(400, "Method not allowed", "Only marketing template messages are sent by this method."),
    131056: Entry(
        429,
        "Pair rate limit hit",
        "Too many messages sent from the sender phone number to the same recipient phone number"
        " in a short period of time.",
    ),
    131057: Entry(500, "Account in maintenance mode", "Business Account is in maintenance mode"),
    131062: Entry(
        400,
        "Recipient type not supported",
        "Business-scoped user ID recipients are not supported for this message.",
    ),
    132000: Entry(400, "Number of parameters does not match the expected number of params"),
    132001: Entry(404, "Template name does not exist in the translation"),
    132005: Entry(400, "Translated text too long"),
    132012: Entry(400, "Parameter format does not match format in the created template"),
    132015: Entry(
        400,
        "Template is paused",
        "Template is paused due to low quality so it cannot be sent in a template message.",
    ),
    132016: Entry(400, "Template is disabled", "Template has been paused too many times due to low quality."),
    133005: Entry(400, "Two-step verification PIN mismatch", "Two-step verification PIN incorrect."),
    133010: Entry(
        400,
        "The account does not exist in Cloud API",
        "Phone number not registered on the WhatsApp Business Platform.",
    ),
    136024: Entry(400, "Phone number already verified", "The phone number has already been verified."),
    139101: Entry(400, "Blocklist limit or user not found", "Some users could not be blocked."),
}


class GraphError(Exception):
    """A refusal in Meta's words; `code` is what callers branch on."""

    def __init__(
        self,
        code: int,
        details: str = "",
        *,
        subcode: int | None = None,
        status: int | None = None,
        user_title: str = "",
        user_message: str = "",
        title: str = "",
    ) -> None:
        entry = CATALOGUE[code]
        self.code = code
        self.title = title or entry.title
        self.details = details or entry.details
        self.status = status or entry.status
        self.subcode = subcode
        self.transient = entry.transient
        self.user_title = user_title
        self.user_message = user_message
        super().__init__(f"(#{code}) {self.title} {self.details}".strip())

    def body(self) -> dict[str, object]:
        """The error as Meta answers it."""
        error: dict[str, object] = {
            "message": f"(#{self.code}) {self.title}",
            "type": "OAuthException",
            "code": self.code,
        }
        if self.details:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        error["is_transient"] = self.transient
        if self.user_title or self.user_message:
            error["error_user_title"] = self.user_title
            error["error_user_msg"] = self.user_message
        error["fbtrace_id"] = "A" + secrets.token_urlsafe(16)
        return {"error": error}


def unreadable(object_id: str, method: str = "get") -> GraphError:
    """What Meta says of an id that does not exist or that the token may not see."""
    return GraphError(
        100,
        subcode=33,
        title=f"Unsupported {method} request. Object with ID '{object_id}' does not exist, cannot be loaded due"
        " to missing permissions, or does not support this operation",
    )


def status_error(code: int) -> dict[str, object]:
    """The same failure as it stands inside a `failed` status: another shape than the answer's."""
    entry = CATALOGUE[code]
    return {
        "code": code,
        "title": entry.title,
        "message": entry.title,
        "error_data": {"details": entry.details or entry.title},
        "href": ERROR_PAGE,
    }
