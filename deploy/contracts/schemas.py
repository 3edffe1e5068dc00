"""JSON Schemas of the events, as pydantic gives them, without the titles that only repeat a field's name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import CoreSchema, core_schema

_IN_COMPONENTS: Final = "#/components/schemas/{model}"


class _Plain(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: CoreSchema | core_schema.ComputedField) -> bool:
        del schema
        return False


@cache
def schema_of(message: type[BaseModel]) -> dict[str, Any]:
    """What a hearer of this release takes, complete in itself. Not to be changed."""
    return message.model_json_schema(schema_generator=_Plain, mode="validation")


def shared_schemas(messages: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """The schemas of many, and of what they share, by name; they refer to one another inside ``components``."""
    _, together = models_json_schema(
        [(message, "validation") for message in messages],
        ref_template=_IN_COMPONENTS,
        schema_generator=_Plain,
    )
    found: dict[str, Any] = together["$defs"]
    return found
