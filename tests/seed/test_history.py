"""The demo company's past: long enough to be compared with, and of people who were there."""

from engine.analytics.overview import DAYS, Period
from engine.seed import history


def test_the_usual_period_of_the_overview_has_one_before_it_to_compare_with() -> None:
    month = DAYS[Period.MONTH]
    ages = [days_ago for _name, _template, days_ago, *_rest in history.PAST]

    assert [age for age in ages if age < month]
    assert [age for age in ages if month <= age < 2 * month]
    assert max(ages) < history.DAYS < 2 * month
