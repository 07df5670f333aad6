"""Scenarios: how phones behave and what goes wrong. Each is data; an admin call may post its own.

Shares are of 1.0, spans are seconds (from, to), `speed` divides every span.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, cast, get_args

Span = tuple[float, float]
Shares = tuple[tuple[int, float], ...]
Window = Literal["checked", "shut", "ignored"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way for the world to be."""

    name: str
    about: str
    seed: int = 1
    speed: float = 1.0

    # what phones do
    webhooks: bool = True
    validate: bool = True
    keep_bodies: bool = True
    sent_after: Span = (0.1, 0.6)
    delivered_after: Span = (1.0, 4.0)
    read_after: Span = (5.0, 300.0)
    reply_after: Span = (4.0, 90.0)
    delivered_share: float = 0.97
    read_share: float = 0.70
    reply_share: float = 0.12
    opt_out_share: float = 0.08  # of those who reply
    review_after: Span = (8.0, 20.0)

    # how the call is answered
    refusals: Shares = ()  # (code, share): refused for sure, nothing accepted
    accept_then_timeout: float = 0.0
    accept_then_error: float = 0.0
    accept_then_reset: float = 0.0
    accept_then_cut: float = 0.0  # cut in the middle of the answer
    hold_seconds: float = 120.0  # how long an accepted call hangs before it is cut; not divided by speed
    answer_after: Span = (0.0, 0.0)
    retry_after: int = 0  # seconds that each 429 tells to wait; 0: it says nothing

    # what becomes of accepted messages
    failures: Shares = ()  # (code, share): accepted, then `failed`
    window: Window = "checked"
    window_fails_later: bool = False
    shuffled: float = 0.0
    duplicated: float = 0.0
    skipped_delivered: float = 0.0  # `read` comes without `delivered`
    late_share: float = 0.0
    late_after: Span = (60.0, 600.0)

    # real limits
    throughput: bool = False
    rate_factor: float = 1.0  # of the number's own rate
    pair: bool = False
    pair_burst: int = 45

    # the whole API
    down_share: float = 0.0  # every call: half cut without an answer, half 500
    token_expired: bool = False

    @property
    def has_chance(self) -> bool:
        """Whether any answer or fate is left to chance."""
        return bool(
            self.refusals
            or self.failures
            or self.accept_then_timeout
            or self.accept_then_error
            or self.accept_then_reset
            or self.accept_then_cut
            or self.answer_after[1]
        )


_QUICK = Scenario(
    name="quick",
    about="Everything within a second, everybody reads, a few answer. For tests and demo walks.",
    sent_after=(0.02, 0.05),
    delivered_after=(0.1, 0.3),
    read_after=(0.1, 0.3),
    reply_after=(0.1, 0.3),
    delivered_share=1.0,
    read_share=0.8,
    review_after=(0.2, 0.5),
)

_ALL = (
    Scenario(
        name="calm",
        about="Human-like: delivered in seconds, 70 % read within minutes, 12 % answer, some ask to leave.",
        failures=((131026, 0.012), (131049, 0.006)),
        throughput=True,
        pair=True,
    ),
    _QUICK,
    Scenario(
        name="fast",
        about="For speed benches: no webhooks, no delays, no limits, no template, media or window checks.",
        webhooks=False,
        validate=False,
        keep_bodies=False,
        window="ignored",
    ),
    replace(
        _QUICK,
        name="faulty",
        about="3 % throttled, 1 % accepted then silence, 1 % accepted then 500, statuses shuffled, 10 % doubled.",
        refusals=((130429, 0.03),),
        accept_then_timeout=0.01,
        accept_then_error=0.01,
        shuffled=0.5,
        duplicated=0.10,
        delivered_after=(0.1, 1.5),
        read_after=(0.1, 1.5),
    ),
    replace(
        _QUICK,
        name="throttle",
        about="The number's throughput is a quarter of its tier: 130429 above it.",
        throughput=True,
        rate_factor=0.25,
    ),
    replace(
        _QUICK,
        name="pair_limit",
        about="One message per six seconds to one person, no burst: 131056.",
        pair=True,
        pair_burst=1,
    ),
    replace(
        _QUICK,
        name="undeliverable",
        about="Half of all messages fail later with 131026.",
        failures=((131026, 0.5),),
    ),
    replace(
        _QUICK,
        name="spam",
        about="The number is restricted: every send is refused with 131048.",
        refusals=((131048, 1.0),),
    ),
    replace(
        _QUICK,
        name="window",
        about="Nobody wrote lately: everything but templates gets 131047.",
        window="shut",
    ),
    replace(
        _QUICK,
        name="window_later",
        about="As window, but the message is accepted and fails later with 131047.",
        window="shut",
        window_fails_later=True,
    ),
    replace(
        _QUICK,
        name="late_statuses",
        about="Every status comes one to ten minutes late, with its true time inside.",
        late_share=1.0,
    ),
    replace(
        _QUICK,
        name="disorder",
        about="Statuses come in any order, some read without delivered, some before the answer.",
        shuffled=1.0,
        skipped_delivered=0.2,
        sent_after=(0.0, 0.0),
        answer_after=(0.0, 0.25),
    ),
    replace(_QUICK, name="duplicates", about="Every status and reply comes twice.", duplicated=1.0),
    replace(
        _QUICK,
        name="ambiguous",
        about="Every send is accepted, then a third each: silence, 500, connection cut.",
        accept_then_timeout=0.34,
        accept_then_error=0.33,
        accept_then_reset=0.33,
    ),
    replace(
        _QUICK,
        name="down",
        about="The whole API is away: half of the calls are cut, half get 500. Nothing is accepted.",
        down_share=1.0,
    ),
    replace(
        _QUICK,
        name="token_expired",
        about="Every token has expired: 401, code 190, subcode 463.",
        token_expired=True,
    ),
)

SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
_FIELDS = {field.name: field for field in fields(Scenario)}


class UnknownScenarioError(ValueError):
    """The name or a field is not one of ours; the text says which are."""


def find_scenario(name: str) -> Scenario:
    """The scenario of this name, or UnknownScenarioError with the names there are."""
    if name not in SCENARIOS:
        raise UnknownScenarioError(f"no scenario is called {name!r}; there are: {', '.join(SCENARIOS)}")
    return SCENARIOS[name]


def compose(changes: Mapping[str, object]) -> Scenario:
    """The scenario named in `changes` (default quick) with its other fields changed."""
    name = changes.get("name", "quick")
    base = find_scenario(str(name))
    rest = {key: value for key, value in changes.items() if key != "name"}
    return replace(base, **{key: _read_field(key, value) for key, value in rest.items()}) if rest else base  # type: ignore[arg-type]


def _read_field(key: str, value: object) -> object:
    """One posted field, in the type the dataclass wants."""
    if key not in _FIELDS:
        raise UnknownScenarioError(f"a scenario has no {key!r}; it has: {', '.join(_FIELDS)}")
    kind = _FIELDS[key].type
    fits = (kind is not Window or value in get_args(Window)) and (kind is bool) == isinstance(value, bool)
    try:
        if fits and kind is Shares:
            pairs = value.items() if isinstance(value, dict) else cast("list[tuple[int, float]]", value)
            return tuple((int(code), float(share)) for code, share in pairs)
        if fits and kind is Span:
            low, high = cast("tuple[float, float]", value)
            return (float(low), float(high))
        if fits:
            return value if kind in (Window, bool, str) else _number(kind, value)
    except (TypeError, ValueError) as error:
        raise UnknownScenarioError(f"{key!r} cannot be {value!r}") from error
    raise UnknownScenarioError(f"{key!r} cannot be {value!r}")


def _number(kind: object, value: object) -> int | float:
    number = float(cast("float", value))
    return int(number) if kind is int else number


def scenario_fields(scenario: Scenario) -> dict[str, object]:
    """The scenario as plain data, to store or to show."""
    return asdict(scenario)
