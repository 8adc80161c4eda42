"""What the service rejects in `additionalModelRequestFields` (KIRO_PROTOCOL 2.5)."""

from __future__ import annotations

from kirotrio.conversation.request import Effort, Json
from kirotrio.kiro.model_table import ModelProfile
from kirotrio.kiro.violation import Findings

_CLAUDE = frozenset({"thinking", "output_config", "max_tokens"})
_GPT = frozenset({"reasoning"})
_EFFORTS = frozenset(effort.value for effort in Effort if effort is not Effort.MINIMAL)
_DISPLAYS = frozenset({"summarized", "omitted"})


def lint_fields(value: Json, path: str, model: ModelProfile | None, findings: Findings) -> None:
    """Checks the fields; against the model's own family and efforts where the model is known."""
    fields = findings.object(value, path)
    if fields is None:
        return
    if model is not None and model.thinking != "native":
        findings.invalid_value(
            path,
            f"{model.id} has no such fields: leave the member out",
            "additionalModelRequestFields is not supported for this model.",
        )
        return
    if model is not None:
        allowed = _GPT if model.family == "gpt" else _CLAUDE
    else:
        allowed = _GPT if "reasoning" in fields else _CLAUDE
    for name in fields:
        if name not in allowed:
            findings.invalid_value(
                f"{path}.{name}",
                f"only {', '.join(sorted(allowed))} here: the families' fields exclude each other",
                f"property '{name}' is not defined in the schema and the schema does not allow additional properties",
            )
    if "reasoning" in fields and "reasoning" in allowed:
        _effort(fields["reasoning"], f"{path}.reasoning", model, findings)
    if "output_config" in fields and "output_config" in allowed:
        _effort(fields["output_config"], f"{path}.output_config", model, findings)
    if "thinking" in fields and "thinking" in allowed:
        _thinking(fields["thinking"], f"{path}.thinking", model, findings)
    limit = fields.get("max_tokens", 1)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        findings.add(f"{path}.max_tokens", "has to be a positive integer")


def _effort(value: Json, path: str, model: ModelProfile | None, findings: Findings) -> None:
    fields = findings.object(value, path)
    if fields is None or "effort" not in fields:
        return
    allowed = frozenset(effort.value for effort in model.efforts) if model is not None and model.efforts else _EFFORTS
    findings.choice(fields["effort"], f"{path}.effort", allowed)


def _thinking(value: Json, path: str, model: ModelProfile | None, findings: Findings) -> None:
    fields = findings.object(value, path)
    if fields is None:
        return
    kind = fields.get("type")
    if kind == "disabled" and model is not None and not model.can_disable_thinking:
        findings.invalid_value(
            f"{path}.type", f"{model.id} always thinks: adaptive is right", "thinking type 'disabled' is not supported."
        )
    elif kind not in ("adaptive", "disabled", "between_tools"):
        findings.add(f"{path}.type", "has to be adaptive or disabled")
    if "display" in fields:
        findings.choice(fields["display"], f"{path}.display", _DISPLAYS)
