"""A campaign being written: what has been chosen so far, and what is still missing. Knows no screen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from engine.client.answers import Campaign, Template

type Body = dict[str, Any]

STEPS = ("message", "audience", "variables", "review")
BEGUN = ("running", "pausing", "paused")


@dataclass(slots=True)
class CampaignDraft:
    """The choices of the editor; `id` is empty until it was saved.

    Once a campaign has begun only its words can change, for the `waiting` who have not got them yet.
    """

    id: str = ""
    name: str = ""
    channel_id: str = ""
    template: Template | None = None
    audience: Mapping[str, Any] | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    scheduled_at: str | None = None
    is_scheduled: bool = False
    has_begun: bool = False
    waiting: int = 0
    kept_words: Body = field(default_factory=dict)

    @classmethod
    def of(cls, campaign: Campaign, template: Template | None) -> "CampaignDraft":
        """The draft of a campaign that was saved before."""
        return cls(
            id=campaign.id,
            name=campaign.name,
            channel_id=campaign.channel_id or "",
            template=template,
            audience=campaign.audience or None,
            variables=dict(campaign.variables),
            scheduled_at=campaign.scheduled_at.isoformat() if campaign.scheduled_at else None,
            is_scheduled=campaign.status == "scheduled",
            has_begun=campaign.status in BEGUN,
            waiting=campaign.counts.queued,
            kept_words={"template_id": campaign.template_id, "variables": dict(campaign.variables)},
        )

    @property
    def starts_at(self) -> datetime | None:
        """When it is to start by itself, where a time was chosen that is one."""
        try:
            moment = datetime.fromisoformat(self.scheduled_at or "")
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def choose_template(self, template: Template | None) -> None:
        """Another template: values of gaps it does not have are forgotten."""
        self.template = template
        gaps = {variable.key for variable in template.variables} if template else set()
        self.variables = {key: value for key, value in self.variables.items() if key in gaps}

    @property
    def can_be_kept(self) -> bool:
        """Whether it has what the API asks of a draft."""
        return self.is_done("message") and self.is_done("audience")

    @property
    def filled(self) -> dict[str, Any]:
        """The gaps something fills; a fixed text that is still empty fills none."""
        return {
            key: value
            for key, value in self.variables.items()
            if (str(value.get("text") or "").strip() if isinstance(value, dict) else value)
        }

    @property
    def lacking(self) -> list[str]:
        """The gaps nothing fills yet."""
        gaps = [variable.key for variable in self.template.variables] if self.template else []
        return [key for key in gaps if key not in self.filled]

    def is_done(self, step: str) -> bool:
        """Whether a step has all it needs."""
        done = {
            "message": bool(self.name.strip() and self.channel_id and self.template),
            "audience": bool(self.audience),
            "variables": self.template is not None and not self.lacking,
            "review": False,
        }
        return done[step]

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps of this draft: one without gaps has none to fill, one that has begun has its audience."""
        no_gaps = self.template is not None and not self.template.variables
        left_out = {"variables"} if no_gaps else set()
        if self.has_begun:
            left_out.add("audience")
        return tuple(step for step in STEPS if step not in left_out)

    def after(self, step: str) -> str:
        """The next step."""
        steps = self.steps
        return steps[min(steps.index(step) + 1, len(steps) - 1)]

    def before(self, step: str) -> str:
        """The step before."""
        steps = self.steps
        return steps[max(steps.index(step) - 1, 0)]

    @property
    def question(self) -> Body:
        """What the API is asked to count the audience."""
        return {
            "channel_id": self.channel_id,
            "template_id": self.template.id if self.template else None,
            "audience": dict(self.audience or {}),
            "variables": self.filled,
        }

    @property
    def words(self) -> Body:
        """What people read of it: its template, and what fills the gaps."""
        return {name: self.question[name] for name in ("template_id", "variables")}

    @property
    def says_otherwise(self) -> bool:
        """Whether it has other words than those that were saved."""
        return self.words != self.kept_words

    @property
    def body(self) -> Body:
        """What is saved."""
        if self.has_begun:
            return {"name": self.name.strip(), **self.words}
        return {"name": self.name.strip(), **self.question, "scheduled_at": self.scheduled_at}
