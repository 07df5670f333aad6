"""Why a message was not sent or a channel stands still: our codes, what to say, and what a person can do about it.

Adapters translate their provider's codes into these, so that a list of failures reads the same for every provider.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.core.i18n import N_


@dataclass(frozen=True, slots=True)
class Explanation:
    """A failure in a person's words: what happened, and what to do (msgids)."""

    text: str
    action: str


WAIT = N_("Nothing to do: we try again by ourselves.")
NOTHING = N_("Nothing to do for this person on WhatsApp.")
ASK_WHATSAPP = N_("Open WhatsApp Manager, resolve what is shown there, then check the connection here.")
MEND_TEMPLATE = N_("Open the template, correct it or choose another, then send again to those who failed.")

EXPLANATIONS: Mapping[str, Explanation] = {
    # The connection
    "not_checked": Explanation(
        N_("The connection has not been checked yet."), N_("Press Check, and read what WhatsApp answers.")
    ),
    "token_expired": Explanation(
        N_("The access token has expired or was revoked."),
        N_("Make a new permanent token of a system user in Meta Business, and enter it under Connections."),
    ),
    "permission_missing": Explanation(
        N_("The access token lacks a permission that WhatsApp needs."),
        N_("Give the token whatsapp_business_messaging and whatsapp_business_management, then check again."),
    ),
    "number_not_found": Explanation(
        N_("WhatsApp does not find this number or account, or the token may not see it."),
        N_("Compare the phone number id and the WhatsApp account id with those in WhatsApp Manager."),
    ),
    "number_not_registered": Explanation(
        N_("The number is not registered for the WhatsApp Cloud API."),
        N_("Register the number in WhatsApp Manager, then check the connection here."),
    ),
    "webhook_refused": Explanation(
        N_("WhatsApp could not confirm our webhook address."),
        N_("The address must be reachable from the internet by https. Correct the public address, then check again."),
    ),
    "account_restricted": Explanation(
        N_("WhatsApp has restricted or locked the account."), ASK_WHATSAPP
    ),
    "account_disconnected": Explanation(
        N_("The account was removed from WhatsApp, or no longer shares itself with us."),
        N_("Connect the number again under Connections."),
    ),
    "payment_issue": Explanation(
        N_("WhatsApp reports a problem with the account's payment."),
        N_("Add or correct the payment method in Meta Business, then check the connection here."),
    ),
    "display_name_not_approved": Explanation(
        N_("The number's display name is not approved."), ASK_WHATSAPP
    ),
    "spam_limit": Explanation(
        N_("WhatsApp holds this number back because too many people blocked or reported its messages."),
        N_("Wait at least an hour, write only to people who expect it, and watch the number's quality."),
    ),
    "template_category_limit": Explanation(
        N_("WhatsApp holds back templates of this account because of wrong categories."), ASK_WHATSAPP
    ),
    "number_not_ready": Explanation(
        N_("The number is known to WhatsApp but can't send yet."), ASK_WHATSAPP
    ),
    "registration_problem": Explanation(
        N_("The number's registration is not complete."), ASK_WHATSAPP
    ),
    "secret_unreadable": Explanation(
        N_("The connection's secret can't be read: it was stored with another key, or altered."),
        N_("Enter the access token and the app secret again under Connections."),
    ),
    "misconfigured": Explanation(N_("The connection to the provider needs attention."), ASK_WHATSAPP),
    # For a while
    "provider_failing": Explanation(
        N_("WhatsApp fails or does not answer, so this connection rests."),
        N_("Nothing to do: we ask WhatsApp again and again, and go on by ourselves."),
    ),
    "provider_unreachable": Explanation(N_("WhatsApp could not be reached."), WAIT),
    "provider_fault": Explanation(N_("WhatsApp had a fault of its own."), WAIT),
    "not_taken": Explanation(N_("WhatsApp could not be reached."), WAIT),
    "throttled": Explanation(N_("WhatsApp asked us to slow down."), WAIT),
    "call_limit": Explanation(N_("The account used up its calls to WhatsApp for this hour."), WAIT),
    "pair_limit": Explanation(N_("Too many messages to this person in a short time."), WAIT),
    "maintenance": Explanation(N_("WhatsApp is moving or upgrading the number."), WAIT),
    "ambiguous": Explanation(
        N_("WhatsApp did not answer in time; the message may have gone out."),
        N_("Wait for WhatsApp's word. We do not send it twice by ourselves."),
    ),
    "restored": Explanation(
        N_("The database was restored from a backup; the message may have gone out before."),
        N_("Wait for WhatsApp's word. We do not send it twice by ourselves."),
    ),
    # The person
    "not_written": Explanation(
        N_("The message could not be written: a fault of ours, which is in the logs."),
        N_("Tell whoever runs Master IA for you, then send again to those who failed."),
    ),
    "undeliverable": Explanation(
        N_("WhatsApp could not deliver: no WhatsApp on this number, an old app, or terms not accepted."),
        N_("Check the number with the person, or reach them another way."),
    ),
    "opted_out": Explanation(N_("This person asked not to get marketing messages."), NOTHING),
    "marketing_limit": Explanation(
        N_("WhatsApp limits how much marketing this person gets, from all companies together."),
        N_("Try again after a day or more; sooner tries prolong the limit."),
    ),
    "experiment": Explanation(N_("WhatsApp left this person out as part of an experiment."), NOTHING),
    "blocked_by_company": Explanation(
        N_("This person is blocked on WhatsApp by your company."),
        N_("Unblock the person first if this was not meant."),
    ),
    "country_restricted": Explanation(
        N_("WhatsApp does not let this account write to people in this country."), ASK_WHATSAPP
    ),
    "same_number": Explanation(N_("Sender and recipient are the same number."), NOTHING),
    "test_number_only": Explanation(
        N_("This is a test number, and the recipient is not on its list."),
        N_("Connect a real number, or add the recipient to the test number's list in Meta."),
    ),
    "window_closed": Explanation(
        N_("More than 24 hours have passed since the person's last message."),
        N_("Send an approved template instead."),
    ),
    "phone_needed": Explanation(
        N_("This template can only be sent to a phone number, and this person's is not known."),
        N_("Ask the person for their number, then send again."),
    ),
    "identity_changed": Explanation(
        N_("The person's identity on WhatsApp has changed since the last message."),
        N_("Confirm with the person that it is still them."),
    ),
    # The message
    "template_not_found": Explanation(
        N_("The template does not exist in this language, or is not approved."), MEND_TEMPLATE
    ),
    "template_paused": Explanation(
        N_("WhatsApp has paused the template because of its quality."),
        N_("Wait until WhatsApp ends the pause, or send with another template."),
    ),
    "template_disabled": Explanation(N_("WhatsApp has disabled the template for good."), MEND_TEMPLATE),
    "template_mismatch": Explanation(
        N_("The values do not fit the template as WhatsApp keeps it."),
        N_("Synchronise the templates, look at the campaign's variables, then send again to those who failed."),
    ),
    "template_refused": Explanation(N_("The template's text breaks a rule of WhatsApp."), MEND_TEMPLATE),
    "template_limit": Explanation(
        N_("The account has as many templates as WhatsApp allows."), N_("Delete templates that are not used.")
    ),
    "template_exists": Explanation(
        N_("A template of this name exists in this language."), N_("Choose another name.")
    ),
    "template_name_in_deletion": Explanation(
        N_("A template of this name was deleted; WhatsApp keeps the name for 30 days."), N_("Choose another name.")
    ),
    "template_gone": Explanation(
        N_("The template does not exist at WhatsApp any more."), N_("Synchronise the templates.")
    ),
    "template_locked": Explanation(
        N_("WhatsApp does not allow this change of the template now."),
        N_("An approved template can be changed once a day. Try again later, or make a new one."),
    ),
    "template_syncing": Explanation(N_("WhatsApp is still preparing the template."), WAIT),
    "marketing_not_possible": Explanation(
        N_("This account can't send marketing templates this way."), ASK_WHATSAPP
    ),
    "flow_blocked": Explanation(N_("The template's form (Flow) is blocked or held back."), ASK_WHATSAPP),
    "missing_variable": Explanation(
        N_("A value that the template needs is missing."),
        N_("Complete the contact, or fill the variable with a fixed text."),
    ),
    "text_too_long": Explanation(
        N_("With this person's values the text is longer than WhatsApp takes."),
        N_("Shorten the value or the template."),
    ),
    "media_refused": Explanation(
        N_("WhatsApp could not fetch or read the file."),
        N_("Check that the file's address opens without sign-in, and that its type and size are allowed."),
    ),
    "media_unavailable": Explanation(
        N_("A file that the person sent could not be fetched."), N_("Ask the person to send it again.")
    ),
    "unsupported_kind": Explanation(
        N_("WhatsApp does not take this kind of message."), N_("Send it as another kind of message.")
    ),
    "bad_parameter": Explanation(
        N_("WhatsApp did not understand a part of the message."),
        N_("Look at the number and the values of this message. If many fail, tell whoever runs this system."),
    ),
    "refused": Explanation(
        N_("WhatsApp refused the message."), N_("Look at the provider's words beside it, or ask WhatsApp's support.")
    ),
}  # fmt: skip


def explain(code: str | None) -> Explanation:
    """What to say of a failure code; a code that nobody wrote a text for is told as plainly refused."""
    return EXPLANATIONS.get(code or "refused", EXPLANATIONS["refused"])


REASON = N_("WhatsApp's reason: %(reason)s")
WAIT_FOR_WHATSAPP = N_("Wait for WhatsApp's word, or synchronise the templates.")

# What Meta says of a template's state (rejected_reason, and other_info of its webhook, September 2026).
TEMPLATE_REASONS: Mapping[str, Explanation] = {
    "ABUSIVE_CONTENT": Explanation(
        N_("WhatsApp found the content abusive or against its policy."), MEND_TEMPLATE
    ),
    "INCORRECT_CATEGORY": Explanation(
        N_("The category does not fit the text."),
        N_("Choose the category that WhatsApp asks for, and submit again."),
    ),
    "INVALID_FORMAT": Explanation(
        N_("The form does not fit: variables, examples or special signs."), MEND_TEMPLATE
    ),
    "PROMOTIONAL": Explanation(
        N_("The text is marketing, and was submitted as something else."),
        N_("Submit it in the category MARKETING."),
    ),
    "SCAM": Explanation(N_("WhatsApp took the text for a fraud attempt."), MEND_TEMPLATE),
    "TAG_CONTENT_MISMATCH": Explanation(
        N_("The language or category does not fit the content."), MEND_TEMPLATE
    ),
    "CATEGORY_NOT_AVAILABLE": Explanation(N_("This category is not available to the account."), ASK_WHATSAPP),
    "FIRST_PAUSE": Explanation(
        N_("Paused for three hours: people blocked or reported it."), EXPLANATIONS["template_paused"].action
    ),
    "SECOND_PAUSE": Explanation(
        N_("Paused for six hours: people blocked or reported it again."),
        EXPLANATIONS["template_paused"].action,
    ),
    "RATE_LIMITING_PAUSE": Explanation(
        N_("Paused while WhatsApp looks how its first messages are received."),
        N_("End the pause in WhatsApp Manager once you have looked at the text."),
    ),
    "FLAGGED": Explanation(
        N_("WhatsApp warns that the template's quality is low."), EXPLANATIONS["template_paused"].action
    ),
    "COMPONENTS_CHANGED": Explanation(
        N_("The text was changed in WhatsApp Manager."), N_("Synchronise the templates to see the new text.")
    ),
    "CATEGORY_WILL_BE_MARKETING": Explanation(
        N_("WhatsApp is about to move the template to the category MARKETING."),
        N_("Its price and rules change with it: correct the text if that is not meant."),
    ),
    "CATEGORY_WILL_BE_UTILITY": Explanation(
        N_("WhatsApp is about to move the template to the category UTILITY."),
        N_("Its price and rules change with it: correct the text if that is not meant."),
    ),
    "PENDING_DELETION": Explanation(N_("The template is being deleted at WhatsApp."), WAIT_FOR_WHATSAPP),
    "DELETED": Explanation(N_("The template was deleted at WhatsApp."), WAIT_FOR_WHATSAPP),
}


def explain_template_reason(reason: str) -> Explanation:
    """What to say of a template's reason, ours or the provider's; fill `reason` into the text."""
    known = TEMPLATE_REASONS.get(reason) or EXPLANATIONS.get(reason)
    return known or Explanation(REASON, WAIT_FOR_WHATSAPP)
