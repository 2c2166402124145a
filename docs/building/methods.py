"""The methods and terms as the catalog has them: nothing here knows a default by itself."""

from inspect import getdoc
from typing import Any

from dlkd_core.catalog.method import Method, Situation
from dlkd_core.catalog.methods import METHODS
from dlkd_core.catalog.terms import TERMS
from dlkd_core.data.views import VIEWS
from docs.building.tables import code, kind, table

_PAPER = Situation(steps=240 * 782)  # the budget of the published tables


def overview() -> str:
    """All methods in one table."""
    known = ((name, METHODS[name].model_validate({})) for name in METHODS if name != "combine")
    rows = ((f"[`{name}`](#{name})", _summary(type(method)), _needs(method), _views(method)) for name, method in known)
    return table(("method", "what it is", "needs", "views"), rows)


def defaults(name: str) -> str:
    """What the catalog says of a method: source, loss with its weights, cost, parameters."""
    method = METHODS[name].model_validate({})
    facts = [
        f"- Loss, as it is run by default: {_weights(method)}.",
        f"- Needs: {_needs(method)}.",
        f"- Cost: {_cost(method)}.",
        *([f"- Source: <{method.source}>."] if method.source else []),
    ]
    return "\n".join(
        [f"{_summary(METHODS[name])}\n", *facts, "", _parameters(METHODS[name].model_json_schema(), skip=("name", "terms"))]
    )


def terms() -> str:
    """All terms of `combine`, with their parameters."""
    rows = []
    for name, term in TERMS.items():
        own = {
            key: value
            for key, value in term.model_json_schema()["properties"].items()
            if key not in {"name", "weight", "warmup_epochs"}
        }
        rows.append((f"`{name}`", _summary(term), ", ".join(f"`{key}` {code(value['default'])}" for key, value in own.items())))
    return table(("term", "what it is", "parameters"), rows)


def _parameters(schema: dict[str, Any], skip: tuple[str, ...]) -> str:
    rows = (
        (f"`{name}`", code(field.get("default")), kind(field), field.get("description", ""))
        for name, field in schema["properties"].items()
        if name not in skip
    )
    return table(("parameter", "default", "type and limits", "meaning"), rows)


def _summary(thing: type) -> str:
    return (getdoc(thing) or "").partition("\n")[0]


def _weights(method: Method) -> str:
    found = " + ".join(f"{term.weight:g} {term.name}" for term in method.adapted(_PAPER).weighted())
    return found + (" at the paper's budget, less on a shorter one" if method.adapted(_PAPER) != method else "")


def _needs(method: Method) -> str:
    if not method.needs_teacher:
        return "labels; no teacher"
    shown = "logits" if method.of_logits() else "block outputs" if method.of_maps() else "features"
    return ("labels and " if method.labelled() else "") + f"the teacher's {shown}"


def _kinds(method: Method) -> list[str]:
    """The kinds of views that it may have by default; one that adapts has two."""
    return [method.views] if method.views in VIEWS else ["single", "rotation4"]


def _views(method: Method) -> str:
    return " or ".join(f"`{views}`" for views in _kinds(method))


def _cost(method: Method) -> str:
    passes = " or ".join(str(VIEWS[views]) for views in _kinds(method))
    ours = f"{passes} forward and backward {'pass' if passes == '1' else 'passes'} of the student for each image"
    return ours + (f", {passes} forward of the teacher" if method.needs_teacher else "")
