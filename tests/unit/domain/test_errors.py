"""The table of errors: every code says all that a door needs to know of it."""

import pytest

from service.api import errors as api_errors
from service.cli.exit_codes import EXIT_CODES_HELP, RUN_FAILED, USAGE
from service.default_risk import errors as _default_risk  # noqa: F401  # its codes are in the table
from service.domain.errors import NOT_THERE_YET, Kind, RiskAlertsError, errors_by_code

TABLE = errors_by_code()


@pytest.mark.parametrize("code", sorted(TABLE))
def test_every_code_has_an_example_of_its_own(code: str) -> None:
    """No error is documented with the words of another, and none leaves with an HTTP status of success."""
    error = TABLE[code]
    assert [each.code for each in TABLE.values() if each.example == error.example] == [code]
    assert error.http_status in range(400, 600)
    assert error.__doc__


def test_what_only_http_can_ask_stands_in_the_same_table() -> None:
    """The API's own refusals come with no run, and belong to the family."""
    own = {"invalid_request", "not_found", "method_not_allowed", "body_too_large", "unhealthy"}
    assert own <= {error.code for error in TABLE.values() if error.__module__ == api_errors.__name__}
    assert {TABLE[code].kind for code in own} == {Kind.REFUSED}


def test_exit_code_64_is_for_the_words_of_the_caller_and_the_settings() -> None:
    """1 is for everything that went wrong; 2 is never an error's."""
    assert {code for code, error in TABLE.items() if error.exit_code == USAGE == 64} == {
        "bad_month",
        "bad_period",
        "rules_not_found",
        "bad_rules",
        "bad_model",
        "bad_companies_file",
        "suspected_fraction_units",
        "training_not_installed",
        "bad_source_uri",
        "bad_cursor",
        "invalid_request",
        "slack_not_configured",
        "routing_not_configured",
        "database_not_durable",
        "two_ledgers",
        "no_identity",
        "signing_keys_unusable",
    }
    assert {error.exit_code for error in TABLE.values()} == {RUN_FAILED, NOT_THERE_YET, USAGE} == {1, 3, 64}


def test_exit_code_3_is_for_data_that_may_yet_arrive() -> None:
    """A job runner may try again by itself where the export is late, and nowhere else."""
    late = {code for code, error in TABLE.items() if error.exit_code == NOT_THERE_YET}
    assert late == {"source_not_found", "month_not_in_source", "period_not_in_source"}
    assert all(code in EXIT_CODES_HELP for code in late)


def test_the_failures_that_leave_a_key_free_are_those_on_this_side() -> None:
    """Each 5xx that a run can end with, and nothing else."""
    assert {code for code, error in TABLE.items() if error.frees_key()} == {
        "cluster_unreachable",
        "storage_unreachable",
        "storage_access_refused",
        "database_unusable",
        "database_schema_newer",
        "interrupted",
        "ledger_imbalance",
        "internal_error",
    }


def test_a_family_is_found_by_the_class_that_declares_its_code() -> None:
    """Classes that share a code answer as its first one."""
    assert TABLE["internal_error"] is RiskAlertsError
    assert TABLE["interrupted"].__name__ == "InterruptedRunError"
