"""Message templates: submitting, listing, editing, deleting."""

import time
from dataclasses import replace

from engine.simulator import ids
from engine.simulator.access import waba_for
from engine.simulator.errors import GraphError, unreadable
from engine.simulator.graph.call import SUCCESS, Answer, Call, page, select
from engine.simulator.template_rules import CATEGORIES, check_components, check_template
from engine.simulator.world import Template

EDITABLE = ("APPROVED", "REJECTED", "PAUSED")
DAY = 24 * 3600
DEFAULT_FIELDS = ("name", "parameter_format", "components", "language", "status", "category", "id")
FILTERS = ("name", "language", "status", "category")
MOST_TEMPLATES = 6000


def _describe(template: Template) -> Answer:
    return {
        "id": template.id,
        "name": template.name,
        "language": template.language,
        "status": template.status,
        "category": template.category,
        "components": template.components,
        "parameter_format": template.parameter_format,
        "rejected_reason": template.rejected_reason,
        "quality_score": {"score": template.quality, "date": template.updated_at},
        "message_send_ttl_seconds": template.message_send_ttl_seconds,
        "previous_category": None,
        "correct_category": None,
        "last_updated_time": time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(template.updated_at)),
    }


async def index(call: Call) -> Answer:
    """GET /{account}/message_templates"""
    waba = waba_for(call.simulator, call.token, call.node)
    wanted = {name: call.text(name) for name in FILTERS if call.text(name)}
    records = [_describe(template) for template in call.simulator.world.templates_of(waba.id)]
    kept = [r for r in records if all(_fits(name, value, r) for name, value in wanted.items())]
    return page(call, [(r["id"], select(r, call.text("fields"), DEFAULT_FIELDS)) for r in kept])


def _fits(name: str, value: str, record: Answer) -> bool:
    """Names are searched, all else is compared."""
    return value in record[name] if name == "name" else value.lower() == record[name].lower()


async def create(call: Call) -> Answer:
    """POST /{account}/message_templates: pending, and judged when its review ends."""
    waba = waba_for(call.simulator, call.token, call.node, "post")
    world = call.simulator.world
    check_template(call.params, call.simulator.handles())
    name, language = call.need("name"), call.need("language")
    if (waba.id, name, language) in world.by_name:
        raise GraphError(
            100,
            subcode=2388024,
            user_title="Content in this language already exists",
            user_message=f"There is already {language} content for this template.",
        )
    if len(world.templates_of(waba.id)) >= MOST_TEMPLATES:
        raise GraphError(100, "The limit of templates is reached.", subcode=2388019)
    now = int(time.time())
    template = Template(
        id=ids.object_id("77"),
        waba_id=waba.id,
        name=name,
        language=language,
        category=call.need("category"),
        components=list(call.params["components"]),
        parameter_format=call.text("parameter_format") or "POSITIONAL",
        created_at=now,
        updated_at=now,
        message_send_ttl_seconds=call.params.get("message_send_ttl_seconds"),
    )
    await call.simulator.send_to_review(template)
    return {"id": template.id, "status": "PENDING", "category": template.category}


def _template(call: Call, method: str) -> Template:
    template = call.simulator.world.templates[call.node]
    if template.waba_id not in call.token.waba_ids:
        raise unreadable(call.node, method)
    return template


async def show(call: Call) -> Answer:
    """GET /{template}"""
    return select(_describe(_template(call, "get")), call.text("fields"), DEFAULT_FIELDS)


async def edit(call: Call) -> Answer:
    """POST /{template}: components replace all, and go to review again."""
    template = _template(call, "post")
    if template.status not in EDITABLE:
        raise GraphError(100, f"A template that is {template.status} cannot be edited.", subcode=2388039)
    category = call.text("category") or template.category
    if category not in CATEGORIES:
        raise GraphError(100, f"Param category must be one of {{{', '.join(CATEGORIES)}}}.")
    if category != template.category and template.status == "APPROVED":
        raise GraphError(100, "The category of an approved template cannot be changed.", subcode=2388039)
    components = call.params.get("components", template.components)
    if not isinstance(components, list) or not all(isinstance(item, dict) for item in components):
        raise GraphError(100, "Param components must be a list of objects.")
    check_components(
        components,
        named=template.parameter_format == "NAMED",
        authentication=category == "AUTHENTICATION",
        handles=call.simulator.handles(),
    )
    changed = replace(
        template,
        category=category,
        components=components,
        message_send_ttl_seconds=call.params.get(
            "message_send_ttl_seconds", template.message_send_ttl_seconds
        ),
        updated_at=int(time.time()),
    )
    if "components" in call.params or category != template.category:
        await call.simulator.send_to_review(changed)
    else:
        await call.simulator.world.put(changed)
    return SUCCESS


async def unpause(call: Call) -> Answer:
    """POST /{template}/unpause"""
    template = _template(call, "post")
    if template.status != "PAUSED":
        return {"success": False, "reason": "Template is not paused."}
    other = {"title": "UNPAUSE", "description": "The template was unpaused."}
    await call.simulator.judge(replace(template, review_at=0.0), "APPROVED", other_info=other)
    return SUCCESS


async def remove(call: Call) -> Answer:
    """DELETE /{account}/message_templates?name= : all languages, or one with hsm_id."""
    waba = waba_for(call.simulator, call.token, call.node, "delete")
    name, one = call.need("name"), call.text("hsm_id")
    found = [t for t in call.simulator.world.templates_of(waba.id) if t.name == name and one in ("", t.id)]
    if not found:
        raise GraphError(100, "Message template does not exist.", subcode=2593002)
    if any(template.status == "DISABLED" for template in found):
        raise GraphError(100, "A disabled template cannot be deleted.", subcode=2388039)
    for template in found:
        await call.simulator.world.drop(template)
    return SUCCESS
