"""What may be wrong with a file or a row, as codes with texts for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.core.i18n import N_, say


class BadFile(Exception):  # noqa: N818 - an answer, as in engine.core.errors
    """A file that can't be imported; `code` is one of FILE_TEXTS."""

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


FILE_TEXTS: Mapping[str, str] = {
    "empty_file": N_("The file is empty."),
    "no_rows": N_("The file has a heading but no rows below it."),
    "not_a_table": N_("This is not a table that we can read. Save it as CSV or XLSX and send it again."),
    "old_excel": N_(
        "This is an old Excel file (.xls), or one with a password. Save it as .xlsx or CSV without one and send it again."
    ),
    "other_spreadsheet": N_(
        "This spreadsheet is not an Excel one. Save it as .xlsx or CSV and send it again."
    ),
    "corrupt_spreadsheet": N_(
        "This spreadsheet is damaged or protected with a password. Save it again without one."
    ),
    "too_much_inside": N_("This spreadsheet unpacks to more than we take. Save it as CSV and send it again."),
    "whole_file_needed": N_("An Excel file this large can only be shown once it is sent as a whole."),
    "no_phone_column": N_("No column holds phone numbers. Say which one does."),
    "file_gone": N_("The file is no longer here. Send it again."),
    "wrong_separator": N_(
        "The columns seem to be parted by “%(sign)s”, so each row would be one cell. Save the file with commas or "
        "semicolons between the columns and send it again."
    ),
    "too_many_columns": N_("This file has too many columns. Leave %(limit)s at most and send it again."),
    "too_many_rejects": N_(
        "Of the first %(read)s rows, %(rejected)s could not be taken, so we stopped. Download them with the reason "
        "beside each, mend the file and send it again."
    ),
    "cancelled": N_("Somebody cancelled this import. The rows taken until then are kept."),
    "gave_up": N_(
        "This import stopped several times without getting on. Send the file again, or in smaller parts."
    ),
}

ROW_TEXTS: Mapping[str, str] = {
    "no_phone": N_("There is no phone number in this row."),
    "bad_phone": N_("“%(value)s” is not a phone number. Check the area code and the number of digits."),
    "rounded_phone": N_(
        "The spreadsheet rounded this number to %(value)s, so its last digits are lost. "
        "Format the column as text and save it again."
    ),
    "long_name": N_("This name is longer than %(limit)s characters. Shorten it."),
    "long_value": N_("The value of “%(field)s” is longer than %(limit)s characters. Shorten it."),
    "too_many_cells": N_(
        "This row has more cells than the heading. A text with a separator in it needs quotes around it."
    ),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, as it is stored and rendered in the reader's language."""

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def text(self, locale: str) -> str:
        """The problem in words."""
        msgid = FILE_TEXTS.get(self.code) or ROW_TEXTS[self.code]
        return say(msgid, locale, self.values)
