"""A company that can send."""

import pytest

from engine.core.bootstrap import DatabaseUrls
from tests.workshop import Shop, open_shop


@pytest.fixture
def shop(database: DatabaseUrls) -> Shop:
    """A channel and an approved template."""
    return open_shop()
