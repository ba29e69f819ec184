"""What a run changed, laid out for a person."""

from collections.abc import Sequence
from functools import partial
from operator import attrgetter, itemgetter
from typing import Final

from service.api.schemas.evaluation import ChangeOut, ChangesOut, RegionTotalOut
from service.cli.layout import Columns, console, print_table
from service.domain.lifecycle.run_changes import ChangeKind


def print_changes(changes: ChangesOut, *, also_continuing: bool = False) -> None:
    """Print how many of each region or route changed how, with the ARR of accounts, and name the first.

    After a run those that go on are not named: they stand in its own list.
    """
    if not changes.totals:
        return
    out = console()
    regions: dict[str, list[RegionTotalOut]] = {}
    for one in changes.totals:
        regions.setdefault("null" if one.region is None else one.region, []).append(one)
    kinds = [kind for kind in ChangeKind if any(one.change is kind for one in changes.totals)]
    is_of_accounts = _is_of_accounts(changes.changes)
    cell = partial(_cell, has_arr=is_of_accounts)
    route = "Region" if is_of_accounts else "Route"
    columns = {route: itemgetter(0)} | {kind.capitalize(): partial(cell, kind) for kind in kinds}
    if not is_of_accounts and regions.keys() == {"null"}:
        regions.clear()  # nothing here has a route
        del columns[route]
    print_table(out, "What changed", columns, [*regions.items(), ("All", changes.totals)])
    named = [one for one in changes.changes if also_continuing or one.change is not ChangeKind.CONTINUING]
    if named:
        print_table(out, "For whom", changed_columns(changes.changes), named)


def changed_columns(changes: Sequence[ChangeOut]) -> Columns:
    """Return what is shown of changes: what they are about, and of accounts what else is known."""
    return _ACCOUNTS if _is_of_accounts(changes) else _OTHERS


def _is_of_accounts(changes: Sequence[ChangeOut]) -> bool:
    return any(one.account_name is not None or one.arr is not None for one in changes)


def _cell(kind: ChangeKind, row: tuple[str, Sequence[RegionTotalOut]], *, has_arr: bool) -> str:
    found = [one for one in row[1] if one.change is kind]
    count, arr = sum(one.accounts for one in found), sum(one.arr for one in found)
    return f"{count:,}{f' (ARR {arr:,})' if has_arr else ''}" if count else ""


_ACCOUNTS: Final[Columns] = {
    "Change": attrgetter("change"),
    "Account": attrgetter("account_id"),
    "Name": attrgetter("account_name"),
    "Region": lambda one: "null" if one.account_region is None else one.account_region,
    "ARR": lambda one: "unknown" if one.arr is None else f"{one.arr:,}",
    "Alert": attrgetter("alert_id"),
}
_OTHERS: Final[Columns] = {
    "Change": attrgetter("change"),
    "About": attrgetter("account_id"),
    "Alert": attrgetter("alert_id"),
}
