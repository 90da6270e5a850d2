"""Writes docs/operational-excellence.md: what carries each bullet of the practice's document.

python scripts/trace.py
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from controls.catalogue import load_catalogue
from controls.maturity import LEVELS
from controls.models import Framework
from controls.trace import MATURITY, SCOPE, Bullet, Trace, load_trace

PAGE = Path(__file__).parent.parent / "docs" / "operational-excellence.md"

_HEAD = """\
# Operational excellence: where each bullet went

Made by `scripts/trace.py` from `controls/traces/operational-excellence.yaml`; do not edit.

The framework `operational_excellence` comes from a document on the company's own infrastructure
practice. Below is every bullet and numbered item of that document, by its line there and in our
words, with what carries it here: a requirement (such as `REL-01`), a KPI (such as `mttr`), a phase
of introduction, the levels of maturity, or, for what the document leaves to others, the
framework's words on its scope. The last column says what can prove it: checks in the clouds (by
the common control that they hang on), what people bring, and figures.

`auditpack maturity` shows the level of every area and what separates it from the next, and
`auditpack maturity --roadmap` what is open, phase by phase. `auditpack explain
operational_excellence:REL-01` shows a requirement's controls and checks.
"""

_KINDS = {
    "scope": "what the document covers and leaves out",
    "practice": "practices, each a requirement",
    "figure": "key figures, each a KPI",
    "phase": "items of the four phases",
    "result": "results that it hopes for",
}

_CARRIERS = """
## The other way round

Each requirement, with its level and phase, and each phase and KPI, with the lines that it carries.
"""


def main() -> None:
    """Write the page."""
    trace = load_trace("operational-excellence")
    framework = load_catalogue().framework(trace.framework)
    PAGE.write_text("\n".join(_page(trace, framework)) + "\n", "utf-8")


def _page(trace: Trace, framework: Framework) -> Iterator[str]:
    yield _HEAD
    counts = Counter(bullet.kind for bullet in trace.bullets)
    yield "| Kind | Bullets |\n|---|--:|"
    for kind, words in _KINDS.items():
        yield f"| {words} | {counts[kind]} |"
    yield f"| all | {len(trace.bullets)} |"
    for section, bullets in trace.sections().items():
        yield f"\n## {section}\n\n| Line | Topic | Carried by | Proved by |\n|--:|---|---|---|"
        for bullet in bullets:
            cells = (str(bullet.line), bullet.topic, _carriers(bullet), _proof(bullet))
            yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
    yield _CARRIERS
    yield from _reverse(trace, framework)


def _carriers(bullet: Bullet) -> str:
    words = {MATURITY: "levels of maturity", SCOPE: "the framework's scope"}
    return ", ".join(words.get(name, f"`{name}`") for name in bullet.carried_by)


def _proof(bullet: Bullet) -> str:
    found = bullet.evidence
    parts = [
        ("checks of ", found.checks),
        ("from people: ", tuple(name.replace("-", " ") for name in found.people)),
        ("figures: " if len(found.figures) > 1 else "figure: ", found.figures),
    ]
    said = [word + ", ".join(names) for word, names in parts if names]
    return "; ".join([*said, *([found.also] if found.also else [])])


def _reverse(trace: Trace, framework: Framework) -> Iterator[str]:
    carried = trace.carried()
    yield "| Carrier | What it is | Lines |\n|---|---|---|"
    for item in framework.requirements:
        level = f"level {item.level} ({LEVELS[item.level or 1]})"
        what = f"{item.title}; {level}, {', '.join(item.profiles)}"
        yield f"| `{item.id}` | {what} | {_lines(carried.pop(item.id, []))} |"
    for phase in framework.profiles:
        yield f"| `{phase.id}` | {phase.title} | {_lines(carried.pop(phase.id, []))} |"
    named = {MATURITY: "Levels of maturity", SCOPE: "Words on the scope"}
    for name, lines in carried.items():
        yield f"| `{name}` | {named.get(name, 'KPI')} | {_lines(lines)} |"


def _lines(lines: list[int]) -> str:
    return ", ".join(str(line) for line in lines)


if __name__ == "__main__":
    main()
