"""A campaign while it runs, and after."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import param

from console.components.base import Component
from console.components.words import FALLING
from console.i18n import N_


class CampaignLive(Component):
    """Status and buttons, progress with speed and time left, states, funnel, and why some failed.

    Draws the API's campaign ({name, status, counts, rate_per_second, seconds_left, …}), `held` where it is to send and
    something keeps it from that. Buttons show when the
    status allows them and `allowed` (the user's permissions) names them: start, pause, resume, cancel, retry,
    test, edit, export, duplicate, delete.

    Events: `command {name}` (after the user confirmed what can't be undone), `reason {code}` (a failure clicked),
    `state {state}` (a state clicked).
    """

    LABELS: ClassVar = {
        **FALLING,
        "status.draft": N_("Draft"),
        "status.scheduled": N_("Scheduled"),
        "status.running": N_("Sending"),
        "status.held": N_("On hold"),
        "status.pausing": N_("Pausing…"),
        "status.paused": N_("Paused"),
        "status.completed": N_("Completed"),
        "status.cancelled": N_("Cancelled"),
        "start": N_("Start sending"),
        "schedule": N_("Schedule"),
        "pause": N_("Pause"),
        "resume": N_("Resume"),
        "cancel": N_("Cancel campaign"),
        "retry": N_("Retry failed"),
        "test": N_("Send a test"),
        "edit": N_("Edit"),
        "export": N_("Export recipients"),
        "duplicate": N_("Duplicate"),
        "delete": N_("Delete"),
        "more": N_("More actions"),
        "back": N_("Campaigns"),
        "progress": N_("Progress"),
        "done": N_("{done} of {total} processed"),
        "speed": N_("{n} per second"),
        "left": N_("{time} left"),
        "left.unknown": N_("Working out the time left"),
        "left.paused": N_("Nothing is sent while paused"),
        "left.pausing": N_("Messages already on their way are finishing"),
        "left.done": N_("Finished {when}"),
        "connection": N_("Open the connection"),
        "left.draft": N_("Not started yet"),
        "left.scheduled": N_("Starts {when}"),
        "left.cancelled": N_("Cancelled; nothing more is sent"),
        "started": N_("Started {when}"),
        "created": N_("Created {when}"),
        "states": N_("Recipients by state"),
        "funnel": N_("Funnel"),
        "failures": N_("Why some failed"),
        "failures.none": N_("No failures so far"),
        "failures.none.text": N_("Each reason appears here with what to do about it."),
        "exclusions": N_("Left out before sending"),
        "count.total": N_("Recipients"),
        "count.queued": N_("Waiting"),
        "count.queued.text": N_("Not sent yet: their turn comes."),
        "count.dispatching": N_("Being sent"),
        "count.dispatching.text": N_("Handed to WhatsApp this moment; we wait for its answer."),
        "count.accepted": N_("Accepted"),
        "count.sent": N_("Sent"),
        "count.delivered": N_("Delivered"),
        "count.read": N_("Read"),
        "count.replied": N_("Replied"),
        "count.failed": N_("Failed"),
        "count.unknown": N_("Not confirmed"),
        "count.unknown.text": N_(
            "We don't know whether the provider took these. They are never resent by themselves."
        ),
        "count.skipped": N_("Left out"),
        "count.cancelled": N_("Cancelled"),
        "funnel.accepted": N_("Accepted"),
        "funnel.delivered": N_("Delivered"),
        "funnel.read": N_("Read"),
        "funnel.replied": N_("Replied"),
        "part": N_("{label}: {n} ({share})"),
        "confirm.cancel": N_("Cancel this campaign?"),
        "confirm.cancel.text": N_("Nothing more will be sent. This cannot be undone."),
        "confirm.cancel.yes": N_("Cancel campaign"),
        "confirm.start": N_("Start sending?"),
        "confirm.start.text": N_("The audience is fixed now, and messages leave at once."),
        "confirm.schedule": N_("Schedule this campaign?"),
        "confirm.schedule.text": N_("It starts by itself on {when}. The audience is fixed then."),
        "confirm.retry": N_("Send again to those that failed?"),
        "confirm.retry.text.one": N_("{n} person gets a new message."),
        "confirm.retry.text.other": N_("{n} people get a new message."),
        "confirm.delete": N_("Delete this campaign?"),
        "confirm.delete.text": N_("This cannot be undone."),
        "confirm.no": N_("Go back"),
        "close": N_("Close"),
        "failed": N_("The campaign could not be loaded"),
        "retry_load": N_("Try again"),
        "loading": N_("Loading"),
    }

    allowed = param.List(default=[], item_type=str, doc="What this user may do; see the class.")
    back = param.String(default="/campaigns", doc="Route of the list.")
    busy_command = param.String(
        default="", doc="The command being carried out: its button waits, others rest."
    )

    def draw(self, campaign: Mapping[str, object]) -> None:
        """Draw the campaign; a later call with a higher `revision` moves the figures, an older one is ignored."""
        self._keep("campaign", campaign=dict(campaign))

    def patch(self, fields: Mapping[str, object]) -> None:
        """Change some fields (a `campaign.changed` fact); ignored when its `revision` is not newer."""
        kept = self._kept.get("campaign", {}).get("campaign")
        if isinstance(kept, dict) and is_newer(fields, kept):
            kept.update(fields)
        self._tell("patch", fields=dict(fields))

    def show_failures(self, items: Sequence[Mapping[str, object]]) -> None:
        """Draw why some failed: [{code, text, action, n}]."""
        self._keep("failures", items=[dict(item) for item in items])

    def show_exclusions(self, items: Sequence[Mapping[str, object]]) -> None:
        """Draw who was left out before sending: [{reason, text, n}]."""
        self._keep("exclusions", items=[dict(item) for item in items])


def is_newer(fields: Mapping[str, object], kept: Mapping[str, object]) -> bool:
    """Whether a fact tells something later than what is shown; without revisions it does."""
    new, old = fields.get("revision"), kept.get("revision")
    return not (isinstance(new, int) and isinstance(old, int)) or new > old
