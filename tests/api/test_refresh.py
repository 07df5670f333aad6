"""Refresh tokens: good once, with a short grace for the same client, and the end of the sign-in when stolen."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
from sqlalchemy import text

from engine.core.db import tenant_session

from .conftest import Caller, World


def refresh(world: World, token: str, agent: str = "console/1") -> httpx.Response:
    return world.client(**{"User-Agent": agent}).post("/v1/auth/refresh", json={"refresh_token": token})


def age_rotation(caller: Caller, by: timedelta) -> None:
    """Move the last rotation of the caller's sign-in into the past."""
    with tenant_session(caller.tenant_id) as session:
        session.execute(text("update sign_in_sessions set rotated_at = rotated_at - :by"), {"by": by})


def test_a_refresh_gives_a_new_pair_of_the_same_sign_in(world: World) -> None:
    caller = world.caller()

    pair = refresh(world, caller.refresh_token).json()
    me = world.client(Authorization=f"Bearer {pair['access_token']}").get("/v1/me").json()

    assert pair["refresh_token"] != caller.refresh_token
    assert me["session_id"] == caller.http.get("/v1/me").json()["session_id"]


def test_tokens_are_kept_hashed(world: World) -> None:
    caller = world.caller()

    with tenant_session(caller.tenant_id) as session:
        kept = session.execute(text("select secret_sha256 from refresh_tokens")).scalars().all()

    assert [len(secret) for secret in kept] == [32]
    assert caller.refresh_token.encode() not in kept


def test_an_answer_lost_on_the_way_may_be_asked_for_again_by_the_same_client(world: World) -> None:
    caller = world.caller()
    first = refresh(world, caller.refresh_token).json()

    again = refresh(world, caller.refresh_token)

    assert again.status_code == 200
    assert refresh(world, first["refresh_token"]).status_code == 200
    assert caller.http.get("/v1/me").status_code == 200


def test_another_client_with_a_spent_token_ends_the_sign_in(world: World) -> None:
    caller = world.caller()
    first = refresh(world, caller.refresh_token).json()

    stolen = refresh(world, caller.refresh_token, agent="thief/1")

    assert (stolen.status_code, stolen.json()["code"]) == (401, "session_ended")
    assert refresh(world, first["refresh_token"]).status_code == 401
    assert caller.http.get("/v1/me").status_code == 401


def test_a_spent_token_after_the_grace_ends_the_sign_in(world: World) -> None:
    caller = world.caller()
    first = refresh(world, caller.refresh_token).json()
    age_rotation(caller, timedelta(seconds=11))

    late = refresh(world, caller.refresh_token)

    assert late.status_code == 401
    assert refresh(world, first["refresh_token"]).status_code == 401


def test_the_grace_is_for_the_token_just_replaced_only(world: World) -> None:
    caller = world.caller()
    second = refresh(world, caller.refresh_token).json()
    third = refresh(world, second["refresh_token"]).json()

    older = refresh(world, caller.refresh_token)

    assert older.status_code == 401
    assert refresh(world, third["refresh_token"]).status_code == 401


def test_two_tabs_that_renew_in_the_same_moment_both_stay_in(world: World) -> None:
    caller = world.caller()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: refresh(world, caller.refresh_token), range(4)))

    assert {answer.status_code for answer in answers} == {200}
    assert caller.http.get("/v1/me").status_code == 200


def test_a_sign_in_that_is_not_renewed_for_thirty_days_is_over(world: World) -> None:
    caller = world.caller()
    with tenant_session(caller.tenant_id) as session:
        session.execute(text("update sign_in_sessions set expires_at = now()"))

    answer = refresh(world, caller.refresh_token)

    assert answer.status_code == 401
    assert caller.http.get("/v1/me").status_code == 401
