"""A table of the server's pages, kept live."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import param

from console.components.base import Component, Message
from console.i18n import N_


@dataclass(frozen=True, slots=True)
class Query:
    """What the table asks for: answer with `show_page(query.seq, …)`."""

    seq: int
    search: str
    filters: dict[str, str]
    sort: str | None
    descending: bool
    after: str | None
    limit: int


class LiveTable(Component):
    """Rows paged by the server, searched, filtered and sorted there, with cells patched as facts arrive.

    A column: {key, label, kind, sortable?, width?, align?, tones?: {value: tone}, words?: {value: label},
    sub?: key of a second line, icon?, phone?: "title"|"side"|"hide"}.
    Kinds: text, strong, badge, number, progress (0..1), percent (0..1), ago, date, tags, money, phone.
    On a phone each row is a card: the `title` column (default: the first) on top, `side` columns at its right.

    A row: {id, …values by column key, path?}. Clicking one navigates to its `path`, or to `row_path` with
    `{id}` filled in, and sends `open {id}` either way.

    A filter: {key, label?, all?, options: [{value, label, n?}], value?}: a row of chips, one may be chosen, none = all.

    Events: `query` (typed by `LiveTable.query_of`), `open {id}`, `action {key, id}` (row menu), `bulk {key, ids}`,
    `toolbar {key}`, `selection {ids}`.
    """

    LABELS: ClassVar = {
        "search": N_("Search…"),
        "search.clear": N_("Clear search"),
        "filters": N_("Filters"),
        "all": N_("All"),
        "range": N_("{from}–{to} of {total}"),
        "range.capped": N_("{from}–{to} of more than {total}"),
        "range.unknown": N_("{from}–{to}"),
        "previous": N_("Previous page"),
        "next": N_("Next page"),
        "load_more": N_("Load more"),
        "loading": N_("Loading"),
        "sort": N_("Sort by {column}"),
        "select_row": N_("Select {name}"),
        "select_all": N_("Select all on this page"),
        "selected.one": N_("{n} selected"),
        "selected.other": N_("{n} selected"),
        "clear_selection": N_("Clear selection"),
        "row_actions": N_("Actions for {name}"),
        "none.title": N_("No results"),
        "none.text": N_("Try another search or clear the filters."),
        "none.clear": N_("Clear filters"),
        "failed": N_("The list could not be loaded"),
        "retry": N_("Try again"),
    }

    columns = param.List(default=[], doc="See the class.")
    filters = param.List(default=[], doc="See the class.")
    sort = param.Dict(default={}, doc="Sorting at the start: {key, descending}.")
    searchable = param.Boolean(default=True)
    search_label = param.String(default="", doc="Placeholder of the search box; empty says “Search…”.")
    toolbar = param.List(default=[], doc="Buttons at the right: [{key, label, icon?, path?, kind?, href?}].")
    row_actions = param.List(
        default=[],
        doc="Menu of each row: [{key, label, icon?, tone?, when?: {column: [values]}}].",
    )
    bulk_actions = param.List(default=[], doc="Buttons for selected rows: [{key, label, icon?, tone?}].")
    selectable = param.Boolean(default=False)
    row_path = param.String(default="", doc="Route of a row with {id}: '/campaigns/{id}'.")
    paging: "param.Selector[str]" = param.Selector(
        default="pages", objects=["pages", "more"], doc="Previous/next, or “Load more”."
    )
    page_size = param.Integer(default=25, bounds=(1, 200))
    noun = param.Dict(default={}, doc="{one, other} for the count when there is one page: '3 campaigns'.")

    @staticmethod
    def query_of(message: Message) -> Query:
        """The typed query of a `query` message."""
        sort = cast("Mapping[str, object] | None", message.get("sort"))
        after = message.get("after")
        return Query(
            seq=cast(int, message["seq"]),
            search=str(message.get("search") or ""),
            filters=cast("dict[str, str]", message.get("filters") or {}),
            sort=str(sort["key"]) if sort else None,
            descending=bool(sort and sort.get("descending")),
            after=str(after) if after else None,
            limit=cast(int, message["limit"]),
        )

    def show_page(
        self,
        seq: int,
        rows: Sequence[Mapping[str, object]],
        *,
        next_cursor: str | None,
        total: int | None = None,
        total_is_capped: bool = False,
    ) -> None:
        """Answer a query: its rows, the cursor of the next page, and how many there are in all if known."""
        self._tell(
            "page",
            seq=seq,
            rows=[dict(row) for row in rows],
            next=next_cursor,
            total=total,
            capped=total_is_capped,
        )

    def fail_page(self, seq: int, text: str) -> None:
        """Answer a query that could not be answered; the table offers to try again."""
        self._tell("page_error", seq=seq, text=text)

    def patch(self, rows: Mapping[str, Mapping[str, object]]) -> None:
        """Change cells of rows by id; rows not on screen are ignored by the browser, changed cells flash."""
        self._tell("patch", rows={key: dict(row) for key, row in rows.items()})

    def remove(self, ids: Sequence[str]) -> None:
        """Take rows off the screen."""
        self._tell("remove", ids=list(ids))

    def refresh(self) -> None:
        """Ask again for the page on screen (the browser sends `query`), keeping rows until the answer is there."""
        self._tell("refresh")

    def reset(self, *, search: str = "", filters: Mapping[str, str] | None = None) -> None:
        """Go to the first page with this search and these filters, at once or as soon as the table is on screen."""
        self._keep("reset", search=search, filters=dict(filters or {}))

    def _receive(self, message: Message) -> None:
        """A query with what was asked for says that it arrived: from then on the person's own choice counts."""
        kept = self._kept.get("reset")
        if kept is not None and message.get("type") == "query":
            asked = (message.get("search") or "", message.get("filters") or {})
            if asked == (kept["search"], kept["filters"]):
                del self._kept["reset"]
