"""Words of the kit's parts, for every component that draws them."""

from collections.abc import Mapping

from console.i18n import N_

# kit/select.jsx: one of a list.
CHOOSING: Mapping[str, str] = {
    "choose": N_("Choose…"),
    "search": N_("Search…"),
    "searching": N_("Searching…"),
    "none": N_("Nothing found"),
}
# kit/select.jsx: a list of words.
TAGGING: Mapping[str, str] = {
    "add_tag": N_("Add “{text}”"),
    "remove_tag": N_("Remove {text}"),
    "tags.placeholder": N_("Type and press Enter"),
}
# kit/guard.jsx: leaving unsaved work.
LEAVING: Mapping[str, str] = {
    "unsaved": N_("Leave without saving?"),
    "unsaved.text": N_("What you typed will be lost."),
    "unsaved.leave": N_("Leave"),
    "unsaved.stay": N_("Keep editing"),
    "close": N_("Close"),
}
# kit/bars.jsx: steps that get fewer.
FALLING: Mapping[str, str] = {
    "of_previous": N_("{share} of the step before"),
    "funnel.note": N_("Each percentage is a share of the step above it."),
}
# kit/bubble.jsx: a message as WhatsApp draws it.
BUBBLE: Mapping[str, str] = {
    "image": N_("Image"),
    "video": N_("Video"),
    "document": N_("Document"),
    "location": N_("Location"),
    "missing.text.one": N_("{n} variable has no value"),
    "missing.text.other": N_("{n} variables have no value"),
}
