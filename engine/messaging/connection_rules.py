"""What a person may enter for a channel: name, rate, ids and secrets, before anybody is asked."""

from collections.abc import Mapping

from engine.core.errors import FieldProblem, Invalid
from engine.core.i18n import N_

MOST_RATE = 1000  # messages per second that Meta gives a number at most (throughput page, September 2026)
MAX_NAME = 120
CREDENTIAL_TEXTS: Mapping[str, str] = {
    "phone_number_id": N_("The phone number id is digits only: see WhatsApp Manager, API setup."),
    "waba_id": N_("The WhatsApp account id is digits only: see WhatsApp Manager, API setup."),
    "access_token": N_("The access token is one line of letters, digits and signs, without spaces."),
    "app_secret": N_("The app secret is one line of letters and digits: see the app's basic settings."),
}


def check_entered(name: str, rate_per_second: int | None, credentials: Mapping[str, str]) -> None:
    """Invalid names all that does not fit; `credentials` are those of CREDENTIAL_TEXTS that were given."""
    problems: list[FieldProblem] = []
    if not 1 <= len(name.strip()) <= MAX_NAME:
        problems.append(
            FieldProblem(
                "name",
                "bad_name",
                N_("Give the channel a name of 1 to %(most)s characters."),
                {"most": MAX_NAME},
            )
        )
    if rate_per_second is not None and not 1 <= rate_per_second <= MOST_RATE:
        problems.append(
            FieldProblem(
                "rate_per_second",
                "out_of_range",
                N_("Messages per second must be between 1 and %(most)s."),
                {"most": MOST_RATE},
            )
        )
    problems += _credential_problems(credentials)
    if problems:
        raise Invalid(fields=problems)


def _credential_problems(given: Mapping[str, str]) -> list[FieldProblem]:
    """What can't be an id or a secret of Meta's, before anybody is asked."""
    problems = []
    for name, value in given.items():
        # A line break in a token would end the header that carries it.
        fits = value.isascii() and value.isprintable() and " " not in value and 1 <= len(value) <= 2000
        if name.endswith("_id"):
            fits = fits and value.isdigit() and len(value) <= 32
        if not fits:
            text = CREDENTIAL_TEXTS[name]
            problems.append(FieldProblem(f"credentials.{name}", "bad_credential", text))
    return problems
