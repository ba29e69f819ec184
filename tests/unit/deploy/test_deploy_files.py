"""Each deploy file fits the schema that its own platform publishes, so that it can be applied as it is."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import botocore.session
import jsonschema_rs
import pytest
import yaml
from botocore.validate import ParamValidator

DEPLOY: Final = Path(__file__).parents[3] / "deploy"


def discovered(api: str, kind: str) -> Any:
    """Return a validator of one kind of object of a Google API, from the API's discovery document.

    Its format is close to JSON Schema: references are names, and 64-bit numbers are text.
    """
    text = files("googleapiclient.discovery_cache.documents").joinpath(f"{api}.json").read_text("utf-8")
    schemas = json.loads(text)["schemas"]
    return jsonschema_rs.validator_for(
        {
            "$ref": f"#/$defs/{kind}",
            "$defs": {name: _json_schema(schema) for name, schema in schemas.items()},
        }
    )


def _json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    found: dict[str, Any] = {}
    if "type" in schema and schema["type"] != "any":
        found["type"] = schema["type"]
    if "enum" in schema:
        found["enum"] = schema["enum"]
    if "items" in schema:
        found["items"] = _json_schema(schema["items"])
    if "properties" in schema:
        # A field that the API does not know is what it refuses a file for.
        found["properties"] = {name: _json_schema(one) for name, one in schema["properties"].items()}
        found["additionalProperties"] = False
    elif "additionalProperties" in schema:
        found["additionalProperties"] = _json_schema(schema["additionalProperties"])
    return found


def loaded(file: str) -> Any:
    """Read a deploy file."""
    return yaml.safe_load((DEPLOY / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize(("file", "kind"), [("gcp/job.yaml", "Job"), ("gcp/service.yaml", "Service")])
def test_cloud_run_takes_the_file(file: str, kind: str) -> None:
    """`gcloud run … replace` hands the file to the Cloud Run Admin API v1, which refuses unknown fields."""
    problems = discovered("run.v1", kind).iter_errors(loaded(file))
    assert [f"{one.instance_path}: {one.message}" for one in problems] == []


def test_a_field_in_the_wrong_place_is_found() -> None:
    """The check can fail: the annotations once stood inside the task's template, which has none."""
    job = loaded("gcp/job.yaml")
    job["spec"]["template"]["spec"]["template"]["metadata"] = {"annotations": {}}
    assert not discovered("run.v1", "Job").is_valid(job)


@pytest.mark.parametrize(
    ("file", "service", "operation"),
    [
        ("aws/task-definition.json", "ecs", "RegisterTaskDefinition"),
        ("aws/schedule.json", "scheduler", "CreateSchedule"),
    ],
)
def test_aws_takes_the_file(file: str, service: str, operation: str) -> None:
    """`--cli-input-json` is checked against the service's own model before anything is sent."""
    session = botocore.session.get_session()
    shape = session.get_service_model(service).operation_model(operation).input_shape
    given = loaded(file)
    assert ParamValidator().validate(given, shape).generate_report() == ""
    given["Family name"] = "misplaced"
    assert ParamValidator().validate(given, shape).has_errors()


def test_the_policy_is_of_the_form_that_iam_reads() -> None:
    """The task may list its folder and read its objects, and nothing else."""
    policy = loaded("aws/task-policy.json")
    assert policy["Version"] == "2012-10-17"
    assert {one["Action"] for one in policy["Statement"]} == {"s3:GetObject", "s3:ListBucket"}
    for one in policy["Statement"]:
        assert set(one) <= {"Effect", "Action", "Resource", "Condition"}
        assert one["Effect"] == "Allow"
        assert re.fullmatch(r"arn:aws:s3:::BUCKET(/monthly_account_status/\*)?", one["Resource"])


def test_who_is_asked_for_an_identity() -> None:
    """Everybody, in the image and in every file; but where Cloud Run's IAM has asked before."""
    asked = {}
    for file in ("gcp/job.yaml", "gcp/service.yaml", "aws/task-definition.json"):
        (container,) = _containers(loaded(file))
        environment = container.get("env") or container["environment"]
        (asked[file],) = [one["value"] for one in environment if one["name"] == "AUTH"]
    image = re.findall(
        r"^\s+AUTH=(\w+)", (DEPLOY.parent / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert image == ["required"]
    assert asked == {
        "gcp/job.yaml": "required",
        "gcp/service.yaml": "none",
        "aws/task-definition.json": "required",
    }
    # IAM is the door only where it cannot be walked around.
    assert loaded("gcp/service.yaml")["metadata"]["annotations"]["run.googleapis.com/ingress"] == "internal"


def _containers(file: Any) -> Any:
    """Return the containers of a deploy file."""
    if "containerDefinitions" in file:
        return file["containerDefinitions"]
    spec = file["spec"]["template"]["spec"]
    return (spec["template"]["spec"] if "template" in spec else spec)["containers"]


def test_no_scheduler_starts_a_job_again_by_itself() -> None:
    """Exit 2 says that a person must look: a job runner's retries would repeat a finished month."""
    assert loaded("gcp/job.yaml")["spec"]["template"]["spec"]["template"]["spec"]["maxRetries"] == 0
    assert loaded("aws/schedule.json")["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 0
    script = (DEPLOY / "gcp/schedule.sh").read_text(encoding="utf-8")
    assert "--max-retry-attempts 0" in script


def test_evaluations_are_given_less_than_the_container_has() -> None:
    """A source that is too large fails its own run and not the whole instance."""
    limits = {}
    for file in ("gcp/job.yaml", "gcp/service.yaml"):
        (container,) = _containers(loaded(file))
        memory = container["resources"]["limits"]["memory"]
        limits[file] = int(memory.removesuffix("Gi")) * 1024, container["env"]
    task = loaded("aws/task-definition.json")
    limits["aws"] = int(task["memory"]), task["containerDefinitions"][0]["environment"]
    for available, environment in limits.values():
        (given,) = [int(one["value"]) for one in environment if one["name"] == "MEMORY_LIMIT_MB"]
        assert available / 2 <= given <= available * 0.8
