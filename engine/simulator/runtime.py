"""The running simulator: state, clocks and couriers put together, and the verbs that need more than one of them."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson

from engine.simulator import people
from engine.simulator.agenda import Agenda
from engine.simulator.chance import between, throw
from engine.simulator.config import Config
from engine.simulator.errors import GraphError
from engine.simulator.limits import Gate
from engine.simulator.payloads import Notice, StatusUpdate, Update
from engine.simulator.phones import Event, Sent, Step, plan
from engine.simulator.scenarios import Scenario, compose, find_scenario, scenario_fields
from engine.simulator.store import Store
from engine.simulator.template_rules import PAUSES, Needs, read_needs, verdict
from engine.simulator.webhooks import Courier
from engine.simulator.world import Template, World, open_account

WINDOW = 24 * 3600.0  # seconds in which a business may answer freely
HOUR = 3600.0
CODE_SECONDS = 30.0
MANAGEMENT_CALLS_PER_HOUR = 5000
SENT_UNDER_WAY = """
select seq, at, number_id, wamid, recipient, by_user_id, opaque, kind, template, pricing, body_hash, body, failure,
    behaviour, acked | dropped
from accepts where planned <> acked | dropped
"""


class Simulator:
    """All that one process holds."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.store = Store(config.state_path)
        self.world = World(self.store)
        self.agenda: Agenda[Update] = Agenda(self._due)
        self.reviews: Agenda[str] = Agenda(self._finish_reviews)
        self.courier = Courier(self.world, self.store, self.agenda.add)
        self.throughput = Gate()
        self.pairs = Gate()
        self.refused: dict[str, int] = {}
        self.calls = 0
        self._windows: dict[tuple[str, str], float] = {}
        self._needs: dict[str, tuple[Template, Needs]] = {}
        self._usage: dict[str, tuple[float, int, bytes]] = {}
        self._behaviours: dict[Scenario, int] = {}
        self._own_scenarios: dict[str, Scenario] = {}
        self._judging: set[asyncio.Task[Template]] = set()
        self._checkpoints: asyncio.Task[None] | None = None
        self.media_dir = config.state_path.with_name(config.state_path.name + ".media")
        self._codes: dict[str, tuple[str, float]] = {}
        self._last_notice: int = self.store.connection.execute(
            "select coalesce(max(id), 0) from notices"
        ).fetchone()[0]
        self.scenario = self._first_scenario()

    def _first_scenario(self) -> Scenario:
        """What an admin call chose, unless the setting was changed since; else the setting."""
        stored = self.store.setting("scenario")
        if stored is not None:
            choice = orjson.loads(stored)
            if choice["setting"] == self.config.scenario:
                return compose(choice["scenario"])
        return find_scenario(self.config.scenario)

    async def start(self) -> None:
        """Opens for business: the default account, and all that was under way when the last process ended."""
        self._checkpoints = asyncio.get_running_loop().create_task(self.store.checkpoint_forever())
        if not self.world.numbers:
            await open_account(self.world)
        for number in self.world.numbers.values():
            if number.scenario is not None:
                self._own_scenarios[number.id] = compose(number.scenario)
        self._resume()

    async def stop(self) -> None:
        """Closes; nothing is lost."""
        self.agenda.clear()
        self.reviews.clear()
        await asyncio.gather(*self._judging, return_exceptions=True)
        await self.courier.close()
        if self._checkpoints is not None:
            self._checkpoints.cancel()
            with suppress(asyncio.CancelledError):
                await self._checkpoints
        self.store.close()

    def _resume(self) -> None:
        connection = self.store.connection
        since = time.time() - WINDOW
        for number_id, user, at in connection.execute("select * from windows where at > ?", (since,)):
            self._windows[number_id, user] = at
        behaviours = {
            row[0]: compose(orjson.loads(row[1]))
            for row in connection.execute("select id, data from behaviours")
        }
        self._behaviours = {scenario: id_ for id_, scenario in behaviours.items()}
        for row in connection.execute(SENT_UNDER_WAY):
            sent = _read_sent(row, behaviours)
            self.follow(sent, [step for step in plan(sent) if not step.event & row[-1]])
        notices = "select id, waba_id, number_id, field, value, raw, created_at, due_at from notices"
        for row in connection.execute(notices):
            id_, waba_id, number_id, field, value, raw, created_at, due_at = row
            notice = Notice(id_, waba_id, number_id, field, orjson.loads(value), bool(raw), created_at)
            self.agenda.add(due_at, notice)
        for template in self.world.templates.values():
            if template.review_at:
                self.reviews.add(template.review_at, template.id)

    # scenarios

    def scenario_of(self, number_id: str) -> Scenario:
        """What holds for a number: its own scenario or the general one."""
        return self._own_scenarios.get(number_id, self.scenario)

    async def choose_scenario(self, changes: Mapping[str, Any], number_id: str | None = None) -> Scenario:
        """Sets the scenario of one number or of all; kept across restarts."""
        scenario = compose(changes)
        fields = scenario_fields(scenario)
        if number_id is None:
            self.scenario = scenario
            for number in list(self.world.numbers.values()):
                if number.scenario is not None:
                    self.world.put(replace(number, scenario=None))
            self._own_scenarios.clear()
            choice = orjson.dumps({"setting": self.config.scenario, "scenario": fields}).decode()
            await self.store.write("insert or replace into settings values ('scenario', ?)", (choice,))
        else:
            self._own_scenarios[number_id] = scenario
            await self.world.put(replace(self.world.numbers[number_id], scenario=fields))
        self.throughput.clear()
        self.pairs.clear()
        self.refused.clear()
        return scenario

    def behaviour_id(self, scenario: Scenario) -> int:
        """The stored id of a scenario, so that a plan can be drawn again after a restart."""
        known = self._behaviours.get(scenario)
        if known is None:
            known = self._behaviours[scenario] = len(self._behaviours) + 1
            data = orjson.dumps(scenario_fields(scenario)).decode()
            self.store.write("insert into behaviours values (?, ?)", (known, data))
        return known

    # phones

    def follow(self, sent: Sent, steps: list[Step]) -> None:
        """Notes what will happen to a message."""
        for step in steps:
            self.agenda.add(step.due, StatusUpdate(sent, step.event, step.at))

    def _due(self, updates: list[Update]) -> None:
        for update in updates:
            if isinstance(update, StatusUpdate) and update.event is Event.REPLY and not update.attempt:
                number = self.world.numbers[update.sent.number_id]
                self.open_window(number.id, self.person_of(number.waba_id, update.sent.recipient))
        self.courier.deliver(updates)

    def open_window(self, number_id: str, user: str) -> None:
        """A person wrote: the business may answer freely for a day."""
        now = time.time()
        self._windows[number_id, user] = now
        self.store.write("insert or replace into windows values (?, ?, ?)", (number_id, user, now))

    def person_of(self, waba_id: str, user: str) -> str:
        """The WhatsApp id behind a user id where there is one; else what was given."""
        if user[:1].isdigit():
            return user
        return people.phone_behind(user, self.world.wabas[waba_id].business_id) or user

    def window_is_open(self, number_id: str, user: str) -> bool:
        """Whether this person wrote to this number within a day."""
        return time.time() - self._windows.get((number_id, user), 0.0) < WINDOW

    async def announce(
        self,
        waba_id: str,
        field: str,
        value: Mapping[str, Any],
        *,
        number_id: str | None = None,
        raw: bool = False,
    ) -> None:
        """Reports something that is not an event of an accepted message; kept until it is acknowledged."""
        now = time.time()
        self._last_notice += 1
        notice = Notice(self._last_notice, waba_id, number_id, field, value, raw, now)
        await self.store.write(
            "insert into notices values (?, ?, ?, ?, ?, ?, ?, ?)",
            (notice.id, number_id, waba_id, field, orjson.dumps(value), int(raw), now, now),
        )
        self.agenda.add(now, notice)

    # templates

    def needs_of(self, template: Template) -> Needs:
        """What a send of a template must bring; kept, as campaigns ask for each recipient."""
        kept = self._needs.get(template.id)
        if kept is None or kept[0] is not template:
            kept = (template, read_needs(template.components, template.parameter_format, template.category))
            self._needs[template.id] = kept
        return kept[1]

    def send_to_review(self, template: Template) -> asyncio.Future[None]:
        """Stores a template and sets the end of its review."""
        span = self.scenario.review_after
        wait = between(span, throw(self.scenario.seed, f"review:{template.name}")[0]) / self.scenario.speed
        waiting = replace(template, status="PENDING", review_at=time.time() + wait)
        self.reviews.add(waiting.review_at, waiting.id)
        return self.world.put(waiting)

    def _finish_reviews(self, template_ids: list[str]) -> None:
        for template_id in template_ids:
            template = self.world.templates.get(template_id)
            if template is None or not template.review_at or template.review_at > time.time():
                continue
            if template.status == "APPROVED":
                judge = self.judge(
                    template, "PAUSED", other_info={"title": "FIRST_PAUSE", "description": "Low quality."}
                )
            else:
                status, reason = verdict(template.name)
                judge = self.judge(template, status, reason)
            task = asyncio.get_running_loop().create_task(judge)
            self._judging.add(task)
            task.add_done_callback(self._judging.discard)

    async def judge(
        self,
        template: Template,
        status: str,
        reason: str = "NONE",
        other_info: Mapping[str, str] | None = None,
    ) -> Template:
        """Gives a template a status and says so by webhook."""
        pauses_next = status == "APPROVED" and template.review_at > 0 and PAUSES in template.name
        again = time.time() + self.scenario.review_after[1] / self.scenario.speed if pauses_next else 0.0
        judged = replace(
            template, status=status, rejected_reason=reason, review_at=again, updated_at=int(time.time())
        )
        await self.world.put(judged)
        if again:
            self.reviews.add(again, judged.id)
        if status != "PENDING" or template.status != "PENDING":
            await self.announce(
                template.waba_id, "message_template_status_update", _verdict_value(judged, other_info)
            )
        return judged

    def handles(self) -> frozenset[str]:
        """The handles of finished uploads, which samples of templates name."""
        return frozenset(upload.handle for upload in self.world.uploads.values() if upload.handle)

    # calls

    def issue_code(self, waba_id: str) -> str:
        """A code as Embedded Signup gives it: for one use, soon."""
        code = secrets.token_urlsafe(32)
        self._codes[code] = (waba_id, time.time() + CODE_SECONDS)
        return code

    def redeem_code(self, app_id: str, code: str) -> str:
        """The account behind a code of Embedded Signup; works once."""
        waba_id, until = self._codes.pop(code, ("", 0.0))
        app = self.world.app_of(waba_id)
        if until < time.time() or app is None or app.id != app_id:
            raise GraphError(100, title="This authorization code has expired or been used.", subcode=36007)
        return waba_id

    def usage_headers(self, waba_id: str, *, management: bool) -> list[tuple[bytes, bytes]]:
        """Meta's usage headers; management calls of the last hour count, sends do not."""
        since, count, value = self._usage.get(waba_id, (0.0, 0, b""))
        now = time.time()
        if now - since > HOUR:
            since, count, value = now, 0, b""
        if management or not value:
            count += management
            share = min(100, count * 100 // MANAGEMENT_CALLS_PER_HOUR)
            line = {"type": "whatsapp", "call_count": share, "total_cputime": 1, "total_time": 1,
                    "estimated_time_to_regain_access": 0}  # fmt: skip
            value = orjson.dumps({waba_id: [line]})
            self._usage[waba_id] = (since, count, value)
        return [
            (b"x-business-use-case-usage", value),
            (b"x-app-usage", b'{"call_count":1,"total_cputime":1,"total_time":1}'),
        ]

    async def reset(self, *, accounts: bool) -> None:
        """Empties the log and all that is under way; with `accounts` also every business but a new default one."""
        self.agenda.clear()
        await self.courier.forget()
        self.throughput.clear()
        self.pairs.clear()
        self.refused.clear()
        self._windows.clear()
        self._behaviours.clear()
        self.store.wipe_log()
        if accounts:
            self.reviews.clear()
            self._own_scenarios.clear()
            self.world.clear()
            await open_account(self.world)


def _verdict_value(template: Template, other_info: Mapping[str, str] | None) -> dict[str, Any]:
    value: dict[str, Any] = {
        "event": template.status,
        "message_template_id": int(template.id),
        "message_template_name": template.name,
        "message_template_language": template.language,
        "reason": template.rejected_reason,
        "message_template_category": template.category,
    }
    return value | ({"other_info": dict(other_info)} if other_info else {})


def _read_sent(row: tuple[Any, ...], behaviours: Mapping[int, Scenario]) -> Sent:
    """An accepted message from its row (columns as in SENT_UNDER_WAY)."""
    (
        sequence,
        at,
        number_id,
        wamid,
        recipient,
        by_user_id,
        opaque,
        kind,
        template,
        pricing,
        body_hash,
        body,
        *rest,
    ) = row
    failure, behaviour = rest[0], rest[1]
    return Sent(
        sequence=sequence,
        at=at / 1000,
        number_id=number_id,
        wamid=wamid,
        recipient=recipient,
        by_user_id=bool(by_user_id),
        opaque=opaque,
        kind=kind,
        template=template,
        pricing=pricing,
        body_hash=body_hash,
        body=orjson.loads(body) if body else None,
        scenario=behaviours[behaviour],
        failure=failure,
    )
