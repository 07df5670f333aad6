"""The console's component kit: one Python class and one .jsx of the same name for each piece of screen.

Python declares small settings as params and sends data as messages; the browser draws and reports. Nothing here
knows the engine. `tests/console/gallery.py` shows every component; `console/frontend` compiles `src/` into `dist/`.
"""

from console.components.audience_picker import AudiencePicker
from console.components.base import Component, Message, Reader
from console.components.campaign_live import CampaignLive
from console.components.details import Details
from console.components.dialog import Dialog
from console.components.empty_state import EmptyState
from console.components.form import Form
from console.components.funnel import Funnel
from console.components.heatmap import Heatmap
from console.components.kpi_cards import KpiCards
from console.components.live_table import LiveTable, Query
from console.components.mapping_table import MappingTable
from console.components.message_preview import MessagePreview
from console.components.notice import Notice
from console.components.page import Page, Slot
from console.components.progress_bar import ProgressBar
from console.components.shell import Shell
from console.components.stepper import Stepper
from console.components.template_editor import TemplateEditor
from console.components.variable_mapper import VariableMapper

__all__ = [
    "AudiencePicker",
    "CampaignLive",
    "Component",
    "Details",
    "Dialog",
    "EmptyState",
    "Form",
    "Funnel",
    "Heatmap",
    "KpiCards",
    "LiveTable",
    "MappingTable",
    "Message",
    "MessagePreview",
    "Notice",
    "Page",
    "ProgressBar",
    "Query",
    "Reader",
    "Shell",
    "Slot",
    "Stepper",
    "TemplateEditor",
    "VariableMapper",
]
