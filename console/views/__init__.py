"""The screens of the console, and the routes that lead to them."""

import re
from collections.abc import Mapping
from functools import cache

from console.views.base import View
from console.views.campaign_editor import CampaignEditor
from console.views.campaign_live import CampaignPage
from console.views.campaigns import CampaignList
from console.views.connection import ConnectionPage
from console.views.connections import ConnectionList
from console.views.contacts import Contacts
from console.views.import_wizard import ImportWizard
from console.views.imports import ImportList, ImportPage
from console.views.new_connection import NewConnection
from console.views.not_found import NotFound
from console.views.overview import OverviewPage
from console.views.template_editor import TemplatePage
from console.views.templates import TemplateList

# The first that fits wins. A part in braces is given to the view's `enter`.
ROUTES: tuple[tuple[str, type[View]], ...] = (
    ("/", OverviewPage),
    ("/campaigns", CampaignList),
    ("/campaigns/new", CampaignEditor),
    ("/campaigns/{campaign_id}/edit", CampaignEditor),
    ("/campaigns/{campaign_id}", CampaignPage),
    ("/contacts", Contacts),
    ("/contacts/imports", ImportList),
    ("/contacts/imports/new", ImportWizard),
    ("/contacts/imports/{import_id}", ImportPage),
    ("/contacts/{contact_id}", Contacts),
    ("/templates", TemplateList),
    ("/templates/new", TemplatePage),
    ("/templates/{template_id}", TemplatePage),
    ("/connections", ConnectionList),
    ("/connections/new", NewConnection),
    ("/connections/{channel_id}", ConnectionPage),
)
NOT_FOUND = NotFound


@cache
def _pattern(route: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[\\w-]+)", route) + "/?")


def find_view(path: str) -> tuple[type[View], Mapping[str, str]]:
    """The view of a path and the parts the path names."""
    plain = path.partition("?")[0] or "/"
    for route, view in ROUTES:
        found = _pattern(route).fullmatch(plain)
        if found:
            return view, found.groupdict()
    return NOT_FOUND, {}
