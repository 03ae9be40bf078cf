"""What a program wrote is what it would write now: `make generate` mends it."""

from gateway.commands.fields import TABLES
from tests.house.generated import PAGES, ROOT, TABLE, generated


def test_schemas_and_tables_are_current() -> None:
    stale = [
        str(path.relative_to(ROOT))
        for path, content in generated()
        if not path.is_file() or path.read_text() != content
    ]
    assert stale == []


def test_every_table_stands_in_the_docs() -> None:
    found = [name for page in PAGES for _, name, _ in TABLE.findall(page.read_text())]
    assert sorted(found) == sorted(TABLES)
