"""`rules check` and `rules test`: what a file of rules says, and whether it does what its tests say."""

import sys
from pathlib import Path

from service.cli.command import command
from service.cli.exit_codes import OK, RUN_FAILED
from service.cli.logs.text_table import write_table
from service.log_rules.rule_tests import run_tests
from service.log_rules.rules_file import check_channels, duration_text, load_rules
from service.settings import Settings
from service.telemetry.terminal import harmless
from service.wiring import channels_of


@command
def check_rules(settings: Settings, file: Path) -> None:
    """Print what each rule does."""
    rules = load_rules(file)
    check_channels(rules, channels_of(settings), file.name)
    rows = [
        (
            rule.id,
            f"more than {rule.more_than}",
            duration_text(rule.window_us),
            duration_text(rule.quiet_us),
            "" if rule.repeat_us is None else duration_text(rule.repeat_us),
            " and ".join(f"{column} in {', '.join(values)}" for column, values in rule.where),
            ", ".join(rule.group_by) or "all together",
            f"#{rule.channel}" if rule.channel else f"by {rule.route}",
        )
        for rule in rules.rules
    ]
    write_table(("rule", "events", "within", "quiet", "repeat", "where", "for each", "channel"), rows)


@command
def print_rule_tests(_: Settings, file: Path) -> int:
    """Print how each test of a file ended and return the exit code."""
    tested = run_tests(file)
    for one in tested:
        said = "ok    " if one.problem is None else "FAILED"
        sys.stdout.write(harmless(f"{said} {one.name}{f': {one.problem}' if one.problem else ''}") + "\n")
    failed = sum(one.problem is not None for one in tested)
    sys.stdout.write(f"{len(tested) - failed} passed, {failed} failed\n")
    return RUN_FAILED if failed else OK
