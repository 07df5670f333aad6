"""Facts as they come over the wire."""

from engine.client import FactKind, channel_of, read_fact


def test_a_fact_tells_its_kind_and_what_changed() -> None:
    fact = read_fact(b'{"kind":"campaign.changed","id":"f1","at":"2026-11-23T15:00:00Z","data":{"id":"c1"}}')

    assert fact is not None
    assert (fact.kind, fact.data["id"]) == (FactKind.CAMPAIGN_CHANGED, "c1")


def test_a_plural_fact_gives_its_rows_and_a_singular_one_itself() -> None:
    plural = read_fact('{"kind":"activity.changed","data":{"buckets":[{"sent":1},{"sent":2}]}}')
    singular = read_fact('{"kind":"import.changed","data":{"id":"i1"}}')

    assert plural is not None
    assert singular is not None
    assert [row["sent"] for row in plural.items] == [1, 2]
    assert list(singular.items) == [{"id": "i1"}]


def test_what_is_no_fact_is_none() -> None:
    assert [read_fact(raw) for raw in (b"not json", b"[1]", b'{"id":"x"}', b'"text"')] == [None] * 4


def test_each_company_has_its_own_channel() -> None:
    assert channel_of("t1") == "tenant:t1"
