"""Python client of the HTTP API: an async core (`Api`), a blocking face (`connect`), answers as dataclasses
and data frames, and the wire types of facts. It knows nothing else of the engine.
"""

from engine.client.calls import Api, companies_to_choose
from engine.client.errors import (
    ApiError,
    FieldProblem,
    RefusedError,
    SignedOutError,
    UnreachableError,
    UnreadableError,
)
from engine.client.facts import Fact, FactKind, channel_of, read_fact
from engine.client.frames import frame_of, gather_frame, heatmap_frame, series_frame, timeline_frame
from engine.client.sync import BlockingApi, connect
from engine.client.vouching import CLIENT_HEADER, vouch
from engine.client.wire import Credentials, HeldTokens, Wire, problem_of, read_as, refresh_tokens, sign_in

__all__ = [
    "CLIENT_HEADER",
    "Api",
    "ApiError",
    "BlockingApi",
    "Credentials",
    "Fact",
    "FactKind",
    "FieldProblem",
    "HeldTokens",
    "RefusedError",
    "SignedOutError",
    "UnreachableError",
    "UnreadableError",
    "Wire",
    "channel_of",
    "companies_to_choose",
    "connect",
    "frame_of",
    "gather_frame",
    "heatmap_frame",
    "problem_of",
    "read_as",
    "read_fact",
    "refresh_tokens",
    "series_frame",
    "sign_in",
    "timeline_frame",
    "vouch",
]
