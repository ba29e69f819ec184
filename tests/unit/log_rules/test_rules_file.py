"""The rules file: what it may say, and that every problem of it is named with its place."""

from pathlib import Path

import pytest

from service.domain.errors import BadRulesError
from service.log_rules.rule import LOG_COLUMNS
from service.log_rules.rules_file import duration_text, duration_us, load_rules, parse_rules

RULE = """
[[rules]]
id = "fatal"
title = "{peak} fatal errors within {window}: {group}"
where = {severity = ["fatal"]}
group_by = ["bundle_id"]
threshold = {gt = 10}
window = "1h"
channel = "#mobile-fatal"
"""


def problems(text: str) -> list[str]:
    """Return the problems of a file, each with its place."""
    with pytest.raises(BadRulesError) as caught:
        parse_rules(text.encode(), "rules.toml")
    return caught.value.detail.removeprefix("rules.toml: ").split("; ")


def test_a_rule_as_people_write_it() -> None:
    """Quiet is the window unless said otherwise; `gte k` is `gt k - 1`; one value needs no list."""
    (rule,) = parse_rules(RULE.encode(), "rules.toml").rules
    assert (rule.more_than, rule.window_us, rule.quiet_us) == (10, 3_600_000_000, 3_600_000_000)
    assert (rule.channel, rule.where) == ("mobile-fatal", (("severity", ("fatal",)),))
    same = RULE.replace("gt = 10", "gte = 11").replace('["fatal"]', '"fatal"')
    assert parse_rules(same.encode(), "rules.toml").rules == (rule,)


def test_every_problem_is_named_with_its_place() -> None:
    """A second mistake does not wait for the first to be mended."""
    text = (
        "colour = 1\n[source]\nlateness = 5\nspeed = 'high'\n"
        + RULE.replace("gt = 10", "gt = -1").replace('"1h"', '"0s"')
        + RULE.replace('channel = "#mobile-fatal"', 'quiet = "2h"\nrepeat = "1h"\nroute = "country"')
        + RULE.replace("{peak}", "{peek}").replace("id = ", "ID = ")
    )
    assert [problem.split(": ")[0] for problem in problems(text)] == [
        "colour",
        "source.lateness",
        "source.speed",
        "rules.0.threshold.gt",
        "rules.0.window",
        "rules.2.id",
        "rules.2.title",
        "rules.2.ID",
        "rules.1.route",
        "rules.1.repeat",
        "rules.0.id",
        "rules.1.id",
    ]


def test_one_mistake_of_a_rule_hides_no_other() -> None:
    """What contradicts itself is said beside what cannot be read, and so is an id that is there twice."""
    wrong = RULE.replace("{gt = 10}", "{gt = 1, gte = -2}").replace('"1h"', '"1h"\nquiet = 5\nrepeat = "1s"')
    wrong += 'route = "country"\n'
    assert [problem.split(": ")[0] for problem in problems(wrong + RULE)] == [
        "rules.0.threshold.gte",
        "rules.0.quiet",
        "rules.0.threshold",
        "rules.0.channel",
        "rules.0.route",
        "rules.0.id",
        "rules.1.id",
    ]
    assert problems(RULE + "severtiy = 'high'") == ["rules.0.severtiy: is not known here"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (("{gt = 10}", "{}"), "rules.0.threshold"),
        (("{gt = 10}", "{gt = 10, gte = 11}"), "rules.0.threshold"),
        (("{gt = 10}", "{gt = 1.5}"), "rules.0.threshold.gt"),
        (('"1h"', '"1 fortnight"'), "rules.0.window"),
        (('"1h"', "3600"), "rules.0.window"),
        (('"1h"', '"-1h"'), "rules.0.window"),
        (('"1h"', '"99999d"'), "rules.0.window"),
        (('["fatal"]', "[]"), "rules.0.where.severity"),
        (('["fatal"]', "[1]"), "rules.0.where.severity.0"),
        (('"#mobile-fatal"', '"no spaces"'), "rules.0.channel"),
        (('channel = "#mobile-fatal"', ""), "rules.0.channel"),
        (('["bundle_id"]', '["a", "a"]'), "rules.0.group_by"),
        (("{peak}", "{peak!r}"), "rules.0.title"),
        (("{peak}", "{peak.__class__}"), "rules.0.title"),
        (("{peak}", "\\u0000"), "rules.0.title"),
        (("{peak}", "\\n"), "rules.0.title"),
        (('"#mobile-fatal"', '"a\\u0000"'), "rules.0.channel"),
        (('"1h"', '"1h"\nseverity = "a\\u0000"'), "rules.0.severity"),
        (('"1h"', '"\u0661h"'), "rules.0.window"),
    ],
)
def test_what_a_rule_must_not_say(change: tuple[str, str], place: str) -> None:
    """Each mistake leads to its own place."""
    (problem,) = problems(RULE.replace(*change))
    assert problem.split(": ")[0] == place


@pytest.mark.parametrize("pattern", ["%Q", "%Y %Y", "%d/%m/%Y %", "%s", "%F %T"])
def test_a_time_that_strptime_cannot_read(pattern: str) -> None:
    """No time of a log would be one: it is said before a run."""
    (problem,) = problems(f'[source]\ntime = {{format = "{pattern}"}}\n' + RULE)
    assert problem == f"source.time.format: strptime cannot read a time that is written as {pattern}"


def test_problems_are_said_in_the_files_own_words() -> None:
    """It has tables, and nobody who writes it knows what reads it."""
    assert problems("source = 1\nrules = [2]\n") == ["source: must be a table", "rules.0: must be a table"]
    assert "rules.0.window: is required" in problems("[[rules]]\nid = 'a'\n")


def test_ids_are_the_rules_own() -> None:
    """They are part of what alerts are known by."""
    assert [problem.split(": ")[0] for problem in problems(RULE + RULE)] == ["rules.0.id", "rules.1.id"]


def test_columns_that_the_log_does_not_have() -> None:
    """A slip of the pen is found before a run, where the columns are named."""
    text = '[source]\ncolumns = ["severity", "date"]\n' + RULE
    unknown = "rules.0.group_by: bundle_id is not among source.columns"
    assert problems(text) == [unknown]
    # Whatever else is wrong.
    wrong = text.replace("[source]", "[source]\nlateness = 5\ntime = 3").replace('"1h"', '"0s"')
    assert [problem for problem in problems(wrong) if problem.endswith("columns")] == [unknown]
    assert "source.columns: names a column twice" in problems(wrong.replace('"date"', '"severity"'))


def test_a_file_without_rules_or_without_toml() -> None:
    """Neither is taken for a file without alerts."""
    assert problems("[source]")[0].startswith("rules: ")
    assert "not TOML" in problems("[[rules]\n")[0]
    with pytest.raises(BadRulesError, match="not UTF-8"):
        parse_rules(b"\xff", "rules.toml")
    with pytest.raises(BadRulesError, match="cannot be read"):
        load_rules(Path("/nowhere/rules.toml"))


def test_durations_there_and_back() -> None:
    """In the largest unit that they are whole in."""
    for text in ("500ms", "90s", "10m", "1h", "7d"):
        assert duration_text(duration_us(text)) == text
    assert duration_text(duration_us("60s")) == "1m"
    assert duration_text(0) == "0s"


def test_the_digest_knows_what_counts() -> None:
    """Words and channels may change without a cold start; thresholds may not."""
    file = parse_rules(RULE.encode(), "rules.toml")
    same = parse_rules(
        RULE.replace("fatal errors", "crashes").replace("#mobile", "web").encode(), "rules.toml"
    )
    other = parse_rules(RULE.replace("gt = 10", "gt = 11").encode(), "rules.toml")
    digests = [each.rules[0].digest(each.source) for each in (file, same, other)]
    assert digests[0] == digests[1] != digests[2]


def test_the_rules_that_ship() -> None:
    """The two of the reference exercise, over the 24 columns of its logs."""
    file = load_rules(Path(__file__).parents[3] / "log_rules.toml")
    assert file.source.columns == LOG_COLUMNS
    assert [(rule.id, rule.group_by, rule.more_than, rule.window_us) for rule in file.rules] == [
        ("fatal_burst", (), 10, 60_000_000),
        ("fatal_per_bundle", ("bundle_id",), 10, 3_600_000_000),
    ]
