"""What runs by the clock. All of it may run twice or late: each job looks at what is due, not at what was missed."""

from datetime import timedelta
from typing import Any

TIMETABLE: dict[str, dict[str, Any]] = {
    "message partitions are made ahead": {
        "task": "job",
        "schedule": timedelta(hours=1),
        "args": ("partitions",),
        "options": {"queue": "jobs", "expires": 3000},
    },
    "what is no longer needed is cleared away": {
        "task": "job",
        "schedule": timedelta(hours=1),
        "args": ("clear",),
        "options": {"queue": "jobs", "expires": 3000},
    },
}
