"""Tables of methods and loss terms, read from the catalog."""

from inspect import getdoc
from typing import Any

from dlkd_core.catalog.loss_params import TERMS
from dlkd_core.catalog.methods import METHODS
from dlkd_core.catalog.methods.base_method import Method, RunContext, ViewKind
from dlkd_core.data.augmentation.views import VIEW_COUNTS
from docs.generators.markdown_tables import describe_type, json_code, markdown_table

# Training budget of the published tables: 240 epochs of 782 steps.
_PAPER_CONTEXT = RunContext(steps=240 * 782)


def method_table() -> str:
    """Return the overview table of all methods."""
    methods = ((name, METHODS[name].model_validate({})) for name in METHODS if name != "combine")
    rows = (
        (
            f"[`{name}`](#{name})",
            _summary(type(method)),
            _describe_inputs(method),
            _describe_views(method),
        )
        for name, method in methods
    )
    return markdown_table(("method", "description", "needs", "views"), rows)


def method_details(name: str) -> str:
    """Return a method's summary, default loss, inputs, cost, source and parameter table."""
    method = METHODS[name].model_validate({})
    facts = [
        f"- Default loss: {_loss_formula(method)}.",
        f"- Needs: {_describe_inputs(method)}.",
        f"- Cost: {_describe_cost(method)}.",
        *([f"- Source: <{method.source}>."] if method.source else []),
    ]
    return "\n".join(
        [
            f"{_summary(METHODS[name])}\n",
            *facts,
            "",
            _parameter_table(METHODS[name].model_json_schema(), skip=("name", "terms")),
        ]
    )


def term_table() -> str:
    """Return the table of the loss terms of `combine`, with their parameters."""
    rows = []
    for name, term in TERMS.items():
        own_fields = {
            key: value
            for key, value in term.model_json_schema()["properties"].items()
            if key not in {"name", "weight", "warmup_epochs"}
        }
        rows.append(
            (
                f"`{name}`",
                _summary(term),
                ", ".join(
                    f"`{key}` {json_code(value['default'])}" for key, value in own_fields.items()
                ),
            )
        )
    return markdown_table(("term", "description", "parameters"), rows)


def _parameter_table(schema: dict[str, Any], skip: tuple[str, ...]) -> str:
    rows = (
        (
            f"`{name}`",
            json_code(field.get("default")),
            describe_type(field),
            field.get("description", ""),
        )
        for name, field in schema["properties"].items()
        if name not in skip
    )
    return markdown_table(("parameter", "default", "type and limits", "description"), rows)


def _summary(cls: type) -> str:
    return (getdoc(cls) or "").partition("\n")[0]


def _loss_formula(method: Method) -> str:
    adapted = method.adapt(_PAPER_CONTEXT)
    formula = " + ".join(f"{term.weight:g} {term.name}" for term in adapted.active_terms())
    return formula if adapted == method else f"{formula} at the paper's budget, less below it"


def _describe_inputs(method: Method) -> str:
    if not method.needs_teacher:
        return "labels; no teacher"
    labels = "labels and " if method.terms_needing_labels() else ""
    if method.terms_needing_logits():
        return f"{labels}the teacher's logits"
    if method.terms_needing_feature_maps():
        return f"{labels}the teacher's block outputs"
    return f"{labels}the teacher's features"


def _view_modes(method: Method) -> list[ViewKind]:
    """Return the kinds of views that a method uses by default.

    There are two if the method chooses its views depending on the training budget.
    """
    return [ViewKind.SINGLE, ViewKind.ROTATION4] if method.views is None else [method.views]


def _describe_views(method: Method) -> str:
    return " or ".join(f"`{views}`" for views in _view_modes(method))


def _describe_cost(method: Method) -> str:
    count = " or ".join(str(VIEW_COUNTS[views]) for views in _view_modes(method))
    passes = f"{count} forward {'pass' if count == '1' else 'passes'}"
    student = f"{passes.replace('forward', 'forward and backward')} of the student per image"
    return f"{student}, {passes} of the teacher" if method.needs_teacher else student
