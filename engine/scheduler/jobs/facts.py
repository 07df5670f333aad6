"""Facts passed on and reactions run, in one go: what a reaction states is shown without another bell."""

from sqlalchemy.orm import Session

from engine.scheduler.job import Job
from engine.scheduler.queues import EVENTS
from engine.scheduler.reactions import react_due, reactions_wait
from engine.scheduler.relay import facts_wait, relay_due

ROUNDS = 50


def _is_due(session: Session) -> bool:
    return facts_wait(session) or reactions_wait(session)


def _work() -> bool:
    for _ in range(ROUNDS):
        more_facts = relay_due()
        more_reactions = react_due()
        if not more_facts and not more_reactions:
            # What the reactions stated just now.
            return relay_due()
    return True


# Screens ask for a figure within half a second; three tenths gather what a campaign at full speed states.
JOBS = (Job("relay", EVENTS, _is_due, _work, pause=0.3),)
