"""The product that faults are done to is that of the walks."""

from tests.walks.conftest import api, stack

__all__ = ["api", "stack"]
