"""Write docs/reference/analysis-record.md from docs/analysis_record.schema.json.

The record field by field, with units and sources.

python tools/docs_record.py [--check]
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
SCHEMA = DOCS / "analysis_record.schema.json"
PAGE = DOCS / "reference" / "analysis-record.md"
HEAD = """<!-- Written by tools/docs_record.py from docs/analysis_record.schema.json: do not edit. -->

# The analysis record

`musetune analyze song.mp3 --json` prints one JSON object. `musetune.analyze(path).to_json()` returns the same object as
a dictionary. The [JSON Schema](../analysis_record.schema.json) describes it for programs; a test validates a real record
against the schema and fails where the record has a field that the schema does not name.

{about}

```python
from musetune import LeadSheet, analyze

LeadSheet.parse("| Dm7 | G7 | Cmaj7 | % |", key="C major", bpm=96).save("turnaround.mid")
record = analyze("turnaround.mid").to_json()
print(record["key"], record["bpm"], record["time_signature"])
print([chord["roman"] for chord in record["chords"]])
print(record["harmonic_analysis"]["cadences"])
```

"""


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field below ``schema`` with its path, such as `chords[].roman`, in the schema's order."""
    for variant in schema.get("oneOf", ()):
        yield from fields(variant, path)
    for name, inner in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, inner
        yield from fields(inner, here)
    if "properties" in schema.get("items", {}):
        yield from fields(schema["items"], f"{path}[]")


def kind(field: dict[str, Any]) -> str:
    """The type of a field in a word or two."""
    if "const" in field:
        return f"{field['type']}, always {field['const']}"
    if "enum" in field:
        return "one of " + ", ".join("null" if value is None else f"`{value}`" for value in field["enum"])
    if "oneOf" in field:
        return " or ".join(kind(variant) for variant in field["oneOf"])
    types = field["type"] if isinstance(field["type"], list) else [field["type"]]
    text = " or ".join(types)
    if "array" in types and "type" in field["items"]:
        text = text.replace("array", f"array of {field['items']['type']}s")
    if "minimum" in field and "maximum" in field:
        text += f", {field['minimum']}–{field['maximum']}"
    return text


def page() -> str:
    """The page's text: a table for each part of the record."""
    schema = json.loads(SCHEMA.read_text())
    parts: dict[str, list[str]] = {"The piece": []}
    for path, field in fields(schema):
        top = path.split(".")[0].split("[")[0]
        nested = top != path or any(name.startswith((f"{top}.", f"{top}[")) for name, _ in fields(schema))
        rows = parts.setdefault(f"`{top}`" if nested else "The piece", [])
        unit = field.get("unit") or field.get("items", {}).get("unit") or ""
        cells = (f"`{path}`", kind(field), unit, field.get("description", ""), field.get("source", ""))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    out = [HEAD.format(about=textwrap.fill(schema["description"], 120))]
    for title, rows in parts.items():
        table = ["| field | type | unit | meaning | source |", "|---|---|---|---|---|", *rows]
        out.append(f"## {title}\n\n" + "\n".join(table) + "\n\n")
    return "".join(out).rstrip() + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit("run python tools/docs_record.py" if PAGE.read_text() != page() else 0)
    PAGE.write_text(page())
    print(PAGE)
