"""A few routes that do what routes do, for the tests of the frame around them."""

import threading
import time
from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from fastapi import File, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy import text

from engine.accounts.models import Role
from engine.api.deps import After, Caller, Doing, Limit, Transaction, domain_router, requires
from engine.core.errors import Refused, WrongState
from engine.core.events import Fact, emit

router = domain_router("samples")
anyone = [requires(Role.ANALYST)]

calls: list[str] = []
gate = threading.Event()


class SampleBody(BaseModel):
    name: str = Field(min_length=2, max_length=5)
    size: int = Field(ge=1, default=1)
    owner: UUID | None = None


class SampleAnswer(BaseModel):
    name: str
    call: int


def _effect(session: Transaction, name: str) -> SampleAnswer:
    calls.append(name)
    emit(session, Fact("sample.made", {"name": name}))
    session.flush()
    return SampleAnswer(name=name, call=len(calls))


@router.post("/v1/samples", status_code=201, dependencies=anyone)
def make_sample(body: SampleBody, session: Transaction) -> SampleAnswer:
    return _effect(session, body.name)


@router.post("/v1/samples/slow", status_code=201, dependencies=anyone)
def make_sample_slowly(body: SampleBody, session: Transaction) -> SampleAnswer:
    answer = _effect(session, body.name)
    gate.wait(10)
    return answer


@router.post("/v1/samples/apart", status_code=201, dependencies=anyone)
def make_sample_apart(body: SampleBody, work: Doing) -> SampleAnswer:
    with work.session() as session:
        answer = _effect(session, body.name)
    if body.name == "fail":
        raise Refused()
    if body.name == "wait":
        gate.wait(10)
    return answer


@router.post("/v1/samples/empty", status_code=204, dependencies=anyone)
def make_nothing(session: Transaction) -> None:
    _effect(session, "empty")


@router.post("/v1/samples/file", status_code=202, dependencies=anyone, max_body_size=3 * 1024 * 1024)
def take_file(file: Annotated[UploadFile, File()], session: Transaction) -> SampleAnswer:
    return _effect(session, f"{file.filename} {len(file.file.read())}")


@router.post("/v1/samples/broken", dependencies=anyone)
def break_down(session: Transaction) -> SampleAnswer:
    _effect(session, "broken")
    raise ZeroDivisionError("secret detail 5511987654321")


@router.post("/v1/samples/state", dependencies=anyone)
def refuse(session: Transaction) -> SampleAnswer:
    _effect(session, "refused")
    raise WrongState("completed")


@router.post("/v1/samples/statement", dependencies=anyone)
def run_statement(body: dict[str, str], session: Transaction) -> SampleAnswer:
    session.execute(text(body["sql"]), {"value": body.get("value")})
    return SampleAnswer(name="ran", call=0)


@router.post("/v1/samples/unmarked")
def make_unmarked(caller: Caller) -> dict[str, str]:
    return {"role": caller.role}


@router.get("/v1/samples/unmarked")
def read_unmarked() -> dict[str, str]:
    return {"read": "yes"}


@router.get("/v1/samples", dependencies=anyone)
def list_samples(
    caller: Caller, session: Transaction, limit: Limit = 50, after: After = None
) -> dict[str, str]:
    return {"limit": str(limit), "after": str(after), "tenant": str(caller.tenant_id)}


@router.get("/v1/samples/slow", dependencies=anyone)
def read_slowly(session: Transaction) -> dict[str, str]:
    session.execute(text("select pg_sleep(0.2)"))
    time.sleep(0.05)
    return {"read": "slowly"}


@router.get("/v1/samples.csv", dependencies=anyone)
def export_samples(work: Doing) -> StreamingResponse:
    def lines() -> Iterator[str]:
        with work.session() as session:
            for number in session.scalars(text("select generate_series(1, 3)")):
                yield f"{number}\n"

    return StreamingResponse(lines(), media_type="text/csv")


@router.get("/v1/samples/{sample_id}", dependencies=anyone)
def show_sample(sample_id: UUID, session: Transaction) -> dict[str, str]:
    return {"id": str(sample_id)}
