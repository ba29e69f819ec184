"""Named SQL: every statement that a file names is executed by the module beside it, in both dialects."""

import re
from pathlib import Path

import pytest

import service.store
from service.store.sql import NamedSql

ROOT = Path(service.store.__file__).parents[1]
FILES = sorted(ROOT.rglob("*.sql"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_statement_is_used_and_spelled_in_both_dialects(path: Path) -> None:
    """No statement is left over, none is missing, and none holds a placeholder that nothing fills."""
    module = path.with_suffix(".py")
    name = ".".join(module.with_suffix("").relative_to(ROOT.parent).parts)
    executed = set(re.findall(r'_SQL\.execute\(\s*(?:self\.)?connection, "(\w+)"', module.read_text()))
    statements = NamedSql(name)._statements
    for dialect in ("sqlite", "postgresql"):
        assert {name for name, of in statements if of == dialect} == executed
    for statement in statements.values():
        assert "{" not in statement.text
        assert "--" not in statement.text
