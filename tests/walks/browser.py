"""A real browser on the running product."""

from playwright.sync_api import Browser, Page, Playwright

from tests.walks.stack import PASSWORD, Stack

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def launch(playwright: Playwright, chromium: str) -> Browser:
    """A headless Chromium that asks nothing of anybody."""
    return playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))


def sign_in(page: Page, stack: Stack, email: str, password: str = PASSWORD) -> None:
    """Signs in by the form, as a person does."""
    page.goto(f"{stack.console_url}/sign-in")
    page.locator("input[name=email]").fill(email)
    page.locator("input[name=password]").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console**")
