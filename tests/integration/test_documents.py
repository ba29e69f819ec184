"""Every command of the documents, given in their order in a fresh folder, does what the page shows."""

from pathlib import Path
from typing import Final

import pytest

from tests.support.documents import DOCUMENTS, steps_of
from tests.support.fresh_shell import fresh_shell
from tests.support.processes import ROOT

PAGES: Final = [
    page
    for page in DOCUMENTS
    if any(step.is_carried_out for step in steps_of(page, with_what_it_goes_on=False))
]
NEW_DATABASE: Final = "postgresql://risk_alerts:PASSWORD@HOST/risk_alerts"
"""What a reader fills in, and the test too."""


@pytest.mark.timeout(600)
@pytest.mark.fault  # Not that anything breaks: a page starts a dozen processes, one after the other.
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_commands_of_a_page(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A newcomer who copies them line by line sees what stands there, after what the page goes on from."""
    filled_in = {}
    if NEW_DATABASE in page.read_text(encoding="utf-8"):
        filled_in[NEW_DATABASE] = request.getfixturevalue("postgresql_server").new(empty=True)
    with fresh_shell(tmp_path, filled_in) as shell:
        for step in steps_of(page):
            shell.carry_out(step)
