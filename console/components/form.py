"""A form drawn from a list of fields."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import param

from console.components.base import Component
from console.components.words import CHOOSING, LEAVING, TAGGING
from console.i18n import N_


class Form(Component):
    """Fields with labels, help, errors in place, and buttons to save or leave.

    A field: {name, kind, label, help?, placeholder?, required?, disabled?, optional?, half?: bool, when?:
    {other field: [values]}} and by kind:

    - text, textarea (rows?), email, password (with show), number (min?, max?, step?, unit?), phone
    - select {options: [{value, label, hint?, group?}], searchable?, remote?} — `remote` sends `options {name, text}`
    - segmented {options}, radio {options with hint} — cards to choose from
    - tags {suggestions: [{value, hint?}], free?: bool (default true)} — a list of words
    - switch, checkbox — value true/false, label at the right
    - datetime — ISO instant in UTC; typed and shown in the company's time zone; date — "YYYY-MM-DD"
    - file {upload: {url, field?: "file", accept?, max_bytes?, first_bytes?, whole?}, extra?: {…}} — sent over plain HTTP
      with the cookies, with progress and cancel; the value is the server's JSON answer. With `first_bytes` only
      the beginning is sent when the file is chosen, but for the kinds in `whole`; `send_file` sends it whole
    - readonly, copy, secret — shown, not sent
    - section {label, help} — a heading; note {label (text), tone} — a remark

    Required fields and file sizes are checked in the browser; everything else by the server: `show_errors`.

    Events: `submit {values}`, `cancel {}`, `change {name, value, values}` (fields with `watch: true`),
    `uploaded {name, answer, again}`, `upload_failed {name, status, answer, again}` (`again`: by `send_file`),
    `options {name, text}`, `action {key}`.
    """

    LABELS: ClassVar = {
        **CHOOSING,
        **TAGGING,
        **LEAVING,
        "required": N_("Please fill in this field"),
        "optional": N_("optional"),
        "show": N_("Show"),
        "hide": N_("Hide"),
        "copy": N_("Copy"),
        "copied": N_("Copied"),
        "clear": N_("Clear"),
        "time_zone": N_("Time zone: {zone}"),
        "drop": N_("Drop a file here or choose one"),
        "drop.touch": N_("Choose a file"),
        "drop.active": N_("Drop it here"),
        "drop.limit": N_("up to {size}"),
        "uploading": N_("Sending {name}… {share}"),
        "uploaded": N_("{name} was sent"),
        "upload.failed": N_("{name} could not be sent"),
        "upload.offline": N_("The connection failed while sending. Try again."),
        "upload.too_big": N_("This file has {size}; the limit is {limit}."),
        "upload.wrong_type": N_("This kind of file is not accepted."),
        "upload.cancel": N_("Cancel sending"),
        "upload.replace": N_("Choose another file"),
        "upload.retry": N_("Try again"),
        "errors.one": N_("Please look at {n} field"),
        "errors.other": N_("Please look at {n} fields"),
        "submit": N_("Save"),
        "cancel": N_("Cancel"),
        "failed": N_("The form could not be loaded"),
        "retry": N_("Try again"),
        "loading": N_("Loading"),
    }

    fields = param.List(default=[], doc="See the class.")
    submit_label = param.String(default="", doc="Empty says “Save”.")
    cancel_label = param.String(default="", doc="Empty says “Cancel”.")
    cancellable = param.Boolean(default=True, doc="Whether there is a cancel button.")
    buttons = param.Boolean(default=True, doc="False for a form that is only read through `change`.")
    actions = param.List(default=[], doc="More buttons, at the left: [{key, label, icon?, kind?}].")
    guard = param.Boolean(default=True, doc="Ask before leaving with unsaved changes.")
    danger = param.Boolean(default=False, doc="The submit button is red.")

    def draw(self, values: Mapping[str, object] | None = None) -> None:
        """Show the form with these values; until then it is a skeleton. Forgets edits and errors."""
        self._keep("values", values=dict(values or {}))

    def set_values(self, values: Mapping[str, object]) -> None:
        """Change some values as if the user had typed them."""
        self._tell("set", values=dict(values))

    def show_errors(
        self,
        errors: Mapping[str, str] | None = None,
        text: str = "",
        *,
        links: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Say what is wrong: by field, and one sentence for the whole. The form may be sent again.

        What is said of a field that the form does not show stands above it. `links` ({label, path} by field) lead from
        an error to what it is about.
        """
        self._tell(
            "errors",
            errors=dict(errors or {}),
            text=text,
            links={k: dict(v) for k, v in (links or {}).items()},
        )

    def busy(self, busy: bool = True) -> None:
        """Show the submit button at work. Submitting does it by itself; `show_errors` and `saved` end it."""
        self._tell("busy", busy=busy)

    def saved(self) -> None:
        """What is typed now counts as saved: no guard any more, the button rests."""
        self._tell("saved")

    def send_file(self, name: str, url: str, extra: Mapping[str, str] | None = None) -> None:
        """Send the file chosen in a field, whole, to this address, with these text parts before it."""
        self._tell("send_file", name=name, url=url, extra=dict(extra or {}))

    def show_options(self, name: str, options: Sequence[Mapping[str, object]], text: str = "") -> None:
        """Answer `options`, or give a field new options (or suggestions); `text` is what was searched for."""
        self._tell("field_options", name=name, options=[dict(option) for option in options], text=text)
