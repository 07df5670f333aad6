"""One call to a provider, with its failures in our words."""

from engine.core.errors import Ambiguous, NotTaken
from engine.core.http import Failure, HttpRequest, HttpResponse, call
from engine.messaging.failures import explain


def reach(request: HttpRequest) -> HttpResponse:
    """The provider's answer; NotTaken when it could not be reached, Ambiguous when it took the request and is silent."""
    outcome = call(request)
    if isinstance(outcome, HttpResponse):
        return outcome
    return _raise(outcome)


def _raise(failure: Failure) -> HttpResponse:
    text = explain("provider_unreachable").text
    if failure.never_left:
        raise NotTaken("provider_unreachable", text, detail=failure.detail)
    raise Ambiguous("provider_unreachable", text, detail=failure.detail)
