"""The support notice: one for each month and set of accounts, whoever runs the month and however often."""

from typing import Final

import pytest

from service.domain.errors import PlanChangedError
from service.domain.tenant import DEFAULT_TENANT
from tests.support.house import House, warning_codes
from tests.support.rows import account

LATER: Final = "2026-02-01"
LATAM: Final = account("latam", account_region="LATAM")
MARS: Final = account("mars", account_region="MARS")


def notices(house: House) -> list[str]:
    """Return the notices that there are, in the order of their runs."""
    folder = house.folder / "support_notices"
    return [notice.read_text() for notice in sorted(folder.iterdir())] if folder.exists() else []


async def test_support_is_notified_once_of_the_same_accounts(house: House) -> None:
    """Not by dry runs, nor by replays, whichever process; again when the set has changed or come back."""
    source = house.source([LATAM, account("fine")])
    async with house.open() as desk:
        await desk.run(source, dry_run=True)
        assert notices(house) == []
        first = await desk.run(source)
        await desk.run(source)
    async with house.open() as desk:
        again = await desk.run(source)
        assert warning_codes(again)["unknown_region"] == 1
        (notice,) = notices(house)
        assert notice.count(f"{first.run_id}.unknown-region@") == 1
        await desk.run(house.source([LATAM, MARS], name="two.parquet"))
        assert ["MARS" in notice for notice in notices(house)].count(True) == 1
        await desk.run(house.source([account("fine")], name="none.parquet"))
        assert len(notices(house)) == 2
        await desk.run(house.source([LATAM, MARS], name="back.parquet"))
        await desk.run(house.source([MARS, LATAM], name="other.parquet"))
        assert len(notices(house)) == 3
        later = account("latam", account_region="LATAM", month=LATER)
        await desk.run(house.source([later], name="next.parquet"), month=LATER)
        assert len(notices(house)) == 4


async def test_a_notice_that_did_not_arrive_is_sent_by_the_next_run(house: House) -> None:
    """What support has not heard of is not taken for known."""
    source = house.source([LATAM])
    async with house.open(smtp_url="smtp://127.0.0.1:9") as desk:
        assert "support_notice_failed" in warning_codes(await desk.run(source))
    async with house.open() as desk:
        await desk.run(source)
        await desk.run(source)
    assert len(notices(house)) == 1


async def test_a_run_that_was_cancelled_does_not_make_old_news_new(house: House) -> None:
    """A run that ended before its notice says nothing of what support knows."""
    source = house.source([LATAM])
    async with house.open() as desk:
        await desk.run(source)
        with pytest.raises(PlanChangedError):
            await desk.run(source, plan_digest="0" * 64)
        await desk.run(source)
    assert len(notices(house)) == 1


async def test_another_tenants_notice_is_not_ones_own(house: House) -> None:
    """Each tenant's support hears of its accounts."""
    source = house.source([LATAM])
    for tenant in (DEFAULT_TENANT, "00000000-0000-4000-8000-000000000002"):
        async with house.open(tenant_id=tenant) as desk:
            await desk.run(source)
            await desk.run(source)
    assert len(notices(house)) == 2
