"""What people say of alerts in doubt, as rules of the store's machine."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from service.domain.delivery_status import Outcome, SettleAs
from service.domain.errors import NotInDoubtError
from tests.conformance.store_model import StoreModel, choices
from tests.support.alerts import an_alert
from tests.support.given import NOW


class Doubts(StoreModel):
    """Settling by hand."""

    @precondition(lambda self: self.rows)
    @rule(choice=choices, settle_as=st.sampled_from(SettleAs))
    def settle_doubt(self, choice: int, settle_as: SettleAs) -> None:
        """Somebody says whether Slack has an alert: in doubt, or settled already, or never in doubt."""
        accounts = sorted(self.rows, key=lambda account: (self.rows[account].status != "unknown", account))
        account = accounts[choice % len(accounts)]
        row = self.rows[account]
        saying = self.given.store.doubts.settle(
            an_alert(account).alert_id, settle_as, by="ann", note=None, now=NOW
        )
        in_doubt = row.status == "unknown"
        if not in_doubt and self.settled.get((account, row.claims)) is not settle_as:
            with pytest.raises(NotInDoubtError):
                self.runner.run(saying)
            return
        record, changed = self.runner.run(saying)
        assert changed is in_doubt
        if in_doubt:
            self.settle_expected(account, settle_as)
        assert (record.status, record.settled[-1].settled_as) == (row.status, settle_as)

    @precondition(lambda self: self.with_recorded())
    @rule(choice=choices, settle_as=st.sampled_from(SettleAs))
    def settle_doubts(self, choice: int, settle_as: SettleAs) -> None:
        """Somebody says it of all that a run reports in doubt and that still is."""
        run = self.pick(self.with_recorded(), choice)
        doubts = [
            account
            for account, outcome in (run.outcomes or {}).items()
            if outcome in {Outcome.UNKNOWN, Outcome.PENDING} and self.rows[account].status == "unknown"
        ]
        saying = self.given.store.doubts.settle_run(run.run_id, settle_as, by="ann", note=None, now=NOW)
        assert [record.alert.subject for record in self.runner.run(saying)] == doubts
        for account in doubts:
            self.settle_expected(account, settle_as)

    @invariant()
    def every_settlement_is_kept(self) -> None:
        """Every word that people said is there, once for the claim that they said it of, and nothing else."""
        if not hasattr(self, "given"):
            return
        found = self.runner.run(self.given.sql("SELECT alert_id, claim, settled_as FROM doubt_settlements"))
        assert {(row["alert_id"], row["claim"]): row["settled_as"] for row in found} == {
            (an_alert(account).alert_id, claim): settle_as
            for (account, claim), settle_as in self.settled.items()
        }
