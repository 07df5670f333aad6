"""How often a password may be tried: per account, per account and address, per address; counted in Redis (GCRA).

A try is paid for before the password is looked at, and given back when it was right, so only wrong ones count. What
runs empty fills again by itself, within seconds to minutes: nobody is locked out for long. An address from which the
person has signed in before is not held up by strangers who try their account from elsewhere.
When Redis is away each process counts by itself, more strictly.
"""

import hashlib
import math
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

import redis

from engine.core.errors import TooManyTries
from engine.core.ratelimit import LocalBucket, lease
from engine.core.redis import client

KNOWN_SECONDS = 30 * 24 * 3600
LOCAL_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many tries at once, then one in so many seconds."""

    at_once: int
    seconds_each: float


# An office signs many people in from one address, so that allowance is the widest.
PER_ADDRESS = Allowance(at_once=60, seconds_each=1)
PER_ACCOUNT = Allowance(at_once=20, seconds_each=6)
PER_ACCOUNT_AND_ADDRESS = Allowance(at_once=10, seconds_each=10)

_local: OrderedDict[str, LocalBucket] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True, slots=True)
class Try:
    """One try at an account from an address, with what it cost."""

    account: str
    address: str
    paid: tuple[tuple[str, Allowance], ...]


def pay_for_try(email: str, address: str) -> Try:
    """Take a try from each allowance; TooManyTries, with the seconds to wait, when one is used up."""
    account, place = _digest(email), _digest(address)
    costs = [
        (f"sign-in:address:{place}", PER_ADDRESS),
        (f"sign-in:both:{account}:{place}", PER_ACCOUNT_AND_ADDRESS),
    ]
    if not _is_known(account, place):
        costs.append((f"sign-in:account:{account}", PER_ACCOUNT))
    paid: list[tuple[str, Allowance]] = []
    for key, allowance in costs:
        wait = _take(key, allowance)
        if wait > 0:
            _give_back(paid)
            raise TooManyTries(max(1, math.ceil(wait)))
        paid.append((key, allowance))
    return Try(account, place, tuple(paid))


def forgive(spent: Try) -> None:
    """The password was right: give the try back, and remember the address as one of the person's own."""
    _give_back(spent.paid)
    try:
        client().set(_known_key(spent.account, spent.address), "1", ex=KNOWN_SECONDS)
    except redis.RedisError:
        return  # only a convenience is lost: strangers' tries may hold this address up


def _take(key: str, allowance: Allowance) -> float:
    """Seconds to wait, 0 when the try was granted."""
    try:
        granted = lease(key, rate=1 / allowance.seconds_each, wanted=1, burst=allowance.at_once)
    except redis.RedisError:
        granted = _local_bucket(key, allowance).lease(1)
    return 0.0 if granted.granted else max(granted.wait, 0.001)


def _give_back(paid: tuple[tuple[str, Allowance], ...] | list[tuple[str, Allowance]]) -> None:
    for key, allowance in paid:
        try:
            # A lease of minus one moves the arrival time back by one try.
            lease(key, rate=1 / allowance.seconds_each, wanted=-1, burst=allowance.at_once)
        except redis.RedisError:
            _local_bucket(key, allowance).lease(-1)


def _local_bucket(key: str, allowance: Allowance) -> LocalBucket:
    """This process's own count of a key; the least recently asked for is forgotten when there are too many."""
    with _lock:
        bucket = _local.pop(key, None) or LocalBucket(rate=1 / allowance.seconds_each, tokens=1.0)
        _local[key] = bucket
        while len(_local) > LOCAL_BUCKETS:
            _local.popitem(last=False)
        return bucket


def _is_known(account: str, address: str) -> bool:
    try:
        return bool(client().exists(_known_key(account, address)))
    except redis.RedisError:
        return False


def _known_key(account: str, address: str) -> str:
    return f"sign-in:known:{account}:{address}"


def _digest(text: str) -> str:
    """Redis holds no e-mail or network address, only what tells two apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]
