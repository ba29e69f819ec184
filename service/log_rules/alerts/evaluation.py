"""The evaluation of a period of a stream: alerts, what became of each row, what the next run begins with."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from service.domain.errors import CheckpointTooLargeError
from service.domain.evaluation import Checkpoint, CheckpointFound, Evaluation, RunWarning
from service.domain.progress import Progress
from service.domain.run import RunRequest
from service.log_rules.alerts.checkpoint import Remembered, files_known, packed, unpacked
from service.log_rules.alerts.episodes import alerts_of
from service.log_rules.alerts.lasting import lasting_of
from service.log_rules.alerts.log_alert import LogAlert
from service.log_rules.alerts.options import LogRunOptions
from service.log_rules.evaluate import evaluate_log
from service.log_rules.findings import MOST_VALUES, Before, LogFindings, LogOptions, LogQuestion, known_as
from service.log_rules.ledger import LogRows
from service.log_rules.memory import Memory
from service.log_rules.rule import Period, RuleFile, microseconds
from service.log_rules.rules_file import load_rules
from service.log_rules.warnings import log_warnings
from service.runtime.daemon_thread import run_in_daemon_thread
from service.runtime.room import Turn

_MEGABYTE: Final = 1 << 20
_SHOWN: Final = 5

LogEvaluation: TypeAlias = Evaluation[LogAlert, LogRows]


async def evaluate(
    options: LogRunOptions,
    request: RunRequest,
    found: CheckpointFound | None,
    *,
    progress: Progress,
    turn: Turn,
) -> LogEvaluation:
    """Evaluate the period of a request from the checkpoint before it; raises SourceError."""
    rules = await run_in_daemon_thread(load_rules, Path(request.options["rules"]))
    since, _, until = (request.period or "").partition("/")
    before, warnings = await run_in_daemon_thread(_before, rules, found)
    period = Period(since_us=_us(since), until_us=_us(until))
    machine = LogOptions(threads=options.threads, memory_limit_mb=options.memory_limit_mb)
    with options.open_source(request.source) as source:
        question = LogQuestion(rules=rules, period=period, before=before)
        findings = await evaluate_log(source, question, options=machine, progress=progress, turn=turn)
    evaluated = _Evaluated(options, request, question, findings, found)
    return await run_in_daemon_thread(evaluated.said, since, until, warnings)


@dataclass(frozen=True, slots=True)
class _Evaluated:
    options: LogRunOptions
    request: RunRequest
    question: LogQuestion
    findings: LogFindings
    found: CheckpointFound | None

    def said(self, since: str, until: str, warnings: tuple[RunWarning, ...]) -> LogEvaluation:
        findings, request, options = self.findings, self.request, self.options
        stream = request.options["stream"]
        said = alerts_of(
            findings,
            period=f"{since}/{until}",
            stream=stream,
            tenant_id=options.tenant_id,
            most_of_a_rule=options.most_of_a_rule,
        )
        rows = findings.rows
        rows.reminders, rows.digests = said.reminders, said.digests
        memories = {each.rule.id: each.counter.memory() for each in findings.rules}
        return Evaluation(
            criteria={"kind": request.kind, "period": f"{since}/{until}", "stream": stream}
            | {f"rule {rule.id}": repr(rule) for rule in self.question.rules.rules}
            | {"source": repr(self.question.rules.source)},
            alerts=said.alerts,
            in_digest=said.in_digest,
            rows=rows,
            warnings=(*warnings, *log_warnings(findings, self.question.before)),
            plan=self._plan(since, until, stream),
            source_versions=tuple((file.path, file.version) for file in findings.files),
            lasting=lasting_of(self.question, memories, said.alerts, stream=stream),
            checkpoint=self._checkpoint(since, until, memories),
        )

    def _plan(self, since: str, until: str, stream: str) -> dict[str, Any]:
        return {
            "rules": Path(self.request.options["rules"]).name,
            "stream": stream,
            "from": since,
            "until": until,
            "files": len(self.findings.files),
            "collected": self.findings.collected,
            "began_from_checkpoint": self.found is not None,
        }

    def _checkpoint(self, since: str, until: str, memories: Mapping[str, Memory]) -> Checkpoint:
        findings, before = self.findings, self.question.before
        source = self.question.rules.source
        values = {
            name: {*before.values.get(name, ()), *counts}
            for name, counts in findings.values.items()
            if len(counts) <= MOST_VALUES
        }
        remembered = Remembered(
            memories={
                rule.id: (rule.digest(source), memories[rule.id]) for rule in self.question.rules.rules
            },
            files=files_known(before.files, {known_as(file.path) for file in findings.files}),
            values={name: of for name, of in values.items() if len(of) <= MOST_VALUES},
        )
        content, digest = packed(remembered)
        limit = self.options.checkpoint_limit_mb
        if len(content) > limit * _MEGABYTE:
            raise CheckpointTooLargeError(
                f"what the next run would begin with takes {-(-len(content) // _MEGABYTE):,} MB, more than "
                f"CHECKPOINT_LIMIT_MB={limit}: shorten the windows, or group by fewer values"
            )
        return Checkpoint(
            begins=since,
            until=until,
            content=content,
            digest=digest,
            follows=None if self.found is None else self.found.digest,
        )


def _before(rules: RuleFile, found: CheckpointFound | None) -> tuple[Before, tuple[RunWarning, ...]]:
    """Return what a checkpoint says for these rules; one that has changed since begins without."""
    remembered = None if found is None else unpacked(found.content)
    if found is None or remembered is None:
        return Before(), ()
    digests = {rule.id: rule.digest(rules.source) for rule in rules.rules}
    memories = {
        rule_id: memory
        for rule_id, (digest, memory) in remembered.memories.items()
        if digests.get(rule_id) == digest
    }
    files = dict.fromkeys(known_as(path) for path in remembered.files)
    before = Before(memories=memories, files=files, values=remembered.values)
    return before, (*_stale(found), *_removed(remembered, digests))


def _stale(found: CheckpointFound) -> list[RunWarning]:
    if not found.outdated:
        return []
    shown = ", then ".join(f"{since} to {until}" for since, until in found.outdated[:_SHOWN])
    more = len(found.outdated) - _SHOWN
    detail = (
        "what came before the period was evaluated again since, with another result; repeat the runs over "
        f"{shown}{f' and {more:,} more' if more > 0 else ''} (UTC), then this one"
    )
    return [RunWarning(code="stale_checkpoint", count=len(found.outdated), detail=detail)]


def _removed(remembered: Remembered, rules: Collection[str]) -> Iterator[RunWarning]:
    """Warn of rules that are no longer evaluated while episodes of theirs last: no run sees how these end."""
    removed = [
        rule_id
        for rule_id, (_, memory) in remembered.memories.items()
        if rule_id not in rules and memory.opened.size
    ]
    if removed:
        detail = (
            f"the rules no longer have {', '.join(removed)}, of which the run before left open episodes; "
            "no run resolves their alerts, so a person has to"
        )
        yield RunWarning(code="removed_rule", count=len(removed), detail=detail)


def _us(second: str) -> int:
    return microseconds(datetime.fromisoformat(second))
