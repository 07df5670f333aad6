"""What can be done with a campaign from its page and from its row in the list."""

from console.i18n import N_
from console.tab import Tab
from engine.client import RefusedError

STATUSES = {
    "draft": N_("Draft"),
    "scheduled": N_("Scheduled"),
    "running": N_("Sending"),
    "pausing": N_("Pausing…"),
    "paused": N_("Paused"),
    "completed": N_("Completed"),
    "cancelled": N_("Cancelled"),
}
COPIED = ("channel_id", "template_id", "audience", "variables")


async def act(tab: Tab, campaign_id: str, verb: str) -> None:
    """Starts, pauses, resumes, cancels or retries; what it can no longer do is told with how it stands now."""
    try:
        await tab.api.campaigns.act(campaign_id, verb)
    except RefusedError as error:
        state = STATUSES.get(str(error.problem.get("state")))
        if error.code != "wrong_state" or state is None:
            raise
        said = N_("That is not possible any more. The campaign now stands at: {state}")
        tab.shell.toast(tab.words(said, state=tab.words(state).rstrip("…")), "info")


async def duplicate(tab: Tab, campaign_id: str) -> str:
    """Makes a draft that says the same to the same people; gives its id."""
    campaign = await tab.api.campaigns.get(campaign_id)
    held = {name: getattr(campaign, name) for name in COPIED}
    name = tab.words(N_("Copy of {name}"), name=campaign.name)
    copy = await tab.api.campaigns.create(
        {key: value for key, value in held.items() if value} | {"name": name}
    )
    return copy.id


def export(tab: Tab, campaign_id: str) -> None:
    """Has the browser download the campaign's recipients."""
    tab.shell.download(f"/files/campaigns/{campaign_id}/recipients.csv")
