"""The models that the simulated service has, and what each allows (KIRO_PROTOCOL 7.1, 2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kirotrio.classes import frozen
from kirotrio.simulator import samples

_TYPES: dict[str, tuple[type, ...]] = {"object": (dict,), "string": (str,), "integer": (int,)}


@frozen
class Model:
    """One model. `reasoning`: frames (Claude, native), opaque (GPT), hidden (thinks, shows nothing), tags, none."""

    id: str
    window: int
    rate: float
    reasoning: str
    fields_schema: Mapping[str, Any] | None
    listing: Mapping[str, Any]


class Catalogue:
    """All models by id. Lookups are exact: the service normalises no names."""

    def __init__(self) -> None:
        document = samples.load("models")
        self._default: str = document["defaultModelId"]
        self._models: dict[str, Model] = {}
        for entry in document["models"]:
            simulated = entry.pop("simulated")
            self._models[entry["modelId"]] = Model(
                id=entry["modelId"],
                window=entry["tokenLimits"]["maxInputTokens"],
                rate=entry["rateMultiplier"],
                reasoning=simulated["reasoning"],
                fields_schema=entry.get("additionalModelRequestFieldsSchema"),
                listing=entry,
            )

    def find(self, model_id: str, allowed: frozenset[str] | None = None) -> Model | None:
        """The model of that id, if the account may use it; "" is the default model."""
        model_id = model_id or self._default
        return self._models.get(model_id) if allowed is None or model_id in allowed else None

    def page(self, allowed: frozenset[str] | None, limit: int, token: str, *, schemas: bool) -> dict[str, Any]:
        """One page of ListAvailableModels (6.1). Only the control plane shows the schemas.

        Raises ValueError for a token that no page gave out.
        """
        models = [model for model in self._models.values() if allowed is None or model.id in allowed]
        start = int(token.removeprefix("page-")) if token else 0
        entries = [
            {key: value for key, value in model.listing.items() if schemas or not key.endswith("Schema")}
            for model in models[start : start + limit]
        ]
        page: dict[str, Any] = {"models": entries}
        if schemas:
            page["defaultModelId"] = self._default
        else:
            page["defaultModel"] = {"modelId": self._default, "modelName": "Auto"}
        if start + limit < len(models):
            page["nextToken"] = f"page-{start + limit}"
        return page


def fields_objection(schema: Mapping[str, Any], value: Any, name: str = "additionalModelRequestFields") -> str | None:
    """What is wrong with `value`, in the service's words; None where it fits.

    Knows the keywords that these schemas use: type, enum, properties, required, additionalProperties, minimum, maximum.
    """
    allowed = _TYPES.get(schema.get("type", ""), (object,))
    if not isinstance(value, allowed) or (isinstance(value, bool) and int in allowed):
        return f"property '{name}' is not of type {schema.get('type')}"
    if "enum" in schema and value not in schema["enum"]:
        return f"property '{name}' is not one of {', '.join(schema['enum'])}"
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return f"property '{name}' is not between {schema['minimum']} and {schema['maximum']}"
    if not isinstance(value, dict):
        return None
    properties = schema.get("properties", {})
    for member in schema.get("required", ()):
        if member not in value:
            return f"property '{member}' is required"
    for member, inner in value.items():
        if member not in properties:
            return (
                f"property '{member}' is not defined in the schema and the schema does not allow additional properties"
            )
        if objection := fields_objection(properties[member], inner, member):
            return objection
    return None
