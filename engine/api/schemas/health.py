"""What the probes answer."""

from pydantic import BaseModel, ConfigDict, Field


class Health(BaseModel):
    """The process is alive."""

    model_config = ConfigDict(json_schema_extra={"example": {"status": "ok"}})

    status: str


class Readiness(BaseModel):
    """Whether it can serve, and what it leans on."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"status": "ok", "database": "ok", "schema": "current", "redis": "ok"}},
        populate_by_name=True,
    )

    status: str = Field(description="ok or unready")
    database: str = Field(description="ok or away")
    schema_state: str = Field(serialization_alias="schema", description="current, outdated or unknown")
    redis: str = Field(description="ok or away; away is no reason not to serve")
