"""What a deleted person leaves behind is forgotten: their words, their address, the files that came from them.

That a message was sent, and how it fared, stays: figures are of rows. A page of messages is one reaction, which states
the fact again while there are more. Files are let go of at once, and deleted where the media folder is.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from engine.core.bells import ring
from engine.core.db import after_commit, run
from engine.core.events import Fact, emit
from engine.core.ids import uuid7_floor
from engine.messaging.storage import media_store

PAGE = 1_000
FILES = 100

_BLANK = """
with page as materialized (
  select id from messages where contact_id = %(contact)s and id > %(after)s order by id limit %(limit)s
  for no key update
), blanked as (
  update messages m set address = '', body = null, params = null, payload = null
  from page where m.id = page.id and m.id > %(after)s
)
select id from page order by id
"""

# A fetch that is under way finds no pending row any more, and throws its file away.
_LET_GO = """
update media_files set status = 'failed', error = 'forgotten', url = null, filename = null, sha256 = null,
  lease_until = null
where message_id = any(%(ids)s)
"""


def forget_person(session: Session, fact: Mapping[str, Any]) -> None:
    """Blank a page of a deleted person's messages, and go on if there are more."""
    rows = run(
        session,
        _BLANK,
        contact=UUID(fact["id"]),
        after=UUID(fact["after"]) if "after" in fact else uuid7_floor(0),
        limit=PAGE,
    )
    ids = [row.id for row in rows]
    run(session, _LET_GO, ids=ids)
    if len(ids) == PAGE:
        emit(session, Fact("contact.deleted", {"id": fact["id"], "after": str(ids[-1])}))
    after_commit(session, lambda: ring("forget"))


def files_wait(session: Session) -> bool:
    """Whether files lie in the store that nobody may see any more; a question on a system session."""
    return bool(
        run(session, "select 1 from media_files where status = 'failed' and path is not null limit 1")
    )


def delete_files(session: Session) -> bool:
    """Delete some of these files from the store, and then their paths; True when there may be more. System session."""
    rows = run(
        session,
        """select id, path from media_files where status = 'failed' and path is not null
           order by id limit %(limit)s for update skip locked""",
        limit=FILES,
    )
    for row in rows:
        media_store().delete(row.path)
    run(session, "update media_files set path = null where id = any(%(ids)s)", ids=[row.id for row in rows])
    return len(rows) == FILES
