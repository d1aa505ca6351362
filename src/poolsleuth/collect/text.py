"""The plan as text for a terminal or a README: nothing is wrapped, so that every command survives copy and paste."""

from collections.abc import Iterator

from poolsleuth.collect.plan import Plan
from poolsleuth.collect.request import span_text


def plan_lines(plan: Plan) -> Iterator[str]:
    """The lines of the plan. Commands are indented by four blanks, everything else is not."""
    where = f" on {plan.remote}" if plan.remote is not None else ""
    yield f"Collect for {span_text(plan.duration_seconds)}{where} ({plan.windows})"
    for number, step in enumerate(plan.steps, start=1):
        yield ""
        yield f"{number}. {step.title}"
        for command in step.commands:
            yield f"    {command}"
        for note in step.notes:
            yield f"- {note}"
    yield from _after(plan)


def _after(plan: Plan) -> Iterator[str]:
    yield ""
    yield "What to send"
    for file in plan.send:
        yield f"    {file}"
    if any(step.id == "trace" for step in plan.steps):
        yield "- The trace (.etl) is read by Windows Performance Analyzer: Pool graphs, by tag and stack."
    if not plan.analyse:
        return
    yield ""
    yield "What to do with it, where poolsleuth is installed and the files lie"
    for command in plan.analyse:
        yield f"    {command}"
