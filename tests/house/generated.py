"""What is written by a program and shipped: schemas for editors, tables of fields in the docs."""

import re
from collections.abc import Iterator
from pathlib import Path

from gateway.commands.fields import TABLES, table
from gateway.commands.schema import FILES, schema_text

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
TABLE = re.compile(r"(<!-- fields: (\w+) -->\n).*?(<!-- end of fields -->)", re.DOTALL)


def generated() -> Iterator[tuple[Path, str]]:
    """Yield every file with the content that it should have."""
    for kind in FILES:
        yield ROOT / f"config/schema/{kind}.json", schema_text(kind) + "\n"
    for page in PAGES:
        text = page.read_text()
        yield page, TABLE.sub(lambda m: f"{m[1]}\n{table(TABLES[m[2]])}\n{m[3]}", text)


if __name__ == "__main__":
    for path, content in generated():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
