"""JSON schemas from models."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema

TEMPLATE = "#/components/schemas/{model}"


def _without_defaults(schema: dict[str, Any]) -> None:
    """A default in these models says that a field may be absent, not what it then is."""
    for field in schema.get("properties", {}).values():
        field.pop("default", None)


class Described(BaseModel):
    """A body that the service sends; a field with a default may be absent."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)


def components(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """Returns the schemas of the models and of all that they hold, by name."""
    _, described = models_json_schema(
        [(model, "validation") for model in models], ref_template=TEMPLATE
    )
    schemas = described["$defs"]
    for schema in schemas.values():
        drop_titles(schema)
    return dict(sorted(schemas.items()))


def reference(model: type[BaseModel]) -> dict[str, str]:
    """Points to a model's schema."""
    return {"$ref": TEMPLATE.format(model=model.__name__)}


def inline(model: type[BaseModel]) -> dict[str, Any]:
    """Returns the schema of a model that holds no other, to stand where it is used."""
    schema = model.model_json_schema()
    drop_titles(schema)
    return schema


def drop_titles(schema: dict[str, Any]) -> None:
    """Drops the titles that pydantic makes of names, which tell a reader nothing."""
    schema.pop("title", None)
    for field in schema.get("properties", {}).values():
        field.pop("title", None)
