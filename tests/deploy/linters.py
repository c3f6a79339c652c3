"""cfn-lint and checkov: what they find is accepted finding by finding, and they are seen to find something."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import accepted
from template import PATH, load

# Two regions that differ in what they have.
REGIONS = ("us-east-1", "eu-central-1")
PROGRAMS = Path(sys.executable).parent


def _run(command):
    # No version check, no rules from the network.
    environment = os.environ | {"CHECKOV_RUN_SCA_PACKAGE_SCAN_V2": "false", "LOG_LEVEL": "ERROR", "ANSI_COLORS_DISABLED": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=environment)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-2000:]}") from error


def cfn_lint(path):
    """Dicts with rule, about (the parameter or resource) and says."""
    found = _run([str(PROGRAMS / "cfn-lint"), "-t", str(path), "-c", "I", "-f", "json", "--regions", *REGIONS])
    for one in found:
        where = one["Location"].get("Path") or []
        about = re.search(r"\{'Ref': '(\w+)'\}", one["Message"])
        about = about[1] if about else str(where[1] if len(where) > 1 else where[:1])
        yield {"rule": one["Rule"]["Id"], "about": about, "says": one["Message"]}


def checkov(path):
    """Dicts with check, resource and says; and how many checks passed."""
    answer = _run([
        str(PROGRAMS / "checkov"), "-f", str(path), "--framework", "cloudformation", "--skip-download", "--quiet",
        "--compact", "-o", "json",
    ])
    summary = answer["summary"] if "summary" in answer else answer
    if summary["parsing_errors"]:
        raise RuntimeError(f"checkov could not read {path}")
    failed = answer.get("results", {}).get("failed_checks", [])
    found = [{"check": f["check_id"], "resource": f["resource"].split(".")[-1], "says": f["check_name"]} for f in failed]
    return found, summary["passed"]


def cfn_lint_is_content():
    yield from accepted.compare("cfn_lint", ("rule", "about"), cfn_lint(PATH))


def checkov_is_content():
    found, passed = checkov(PATH)
    if passed < 100:
        yield f"only {passed} checks of checkov passed: it did not see the template"
    yield from accepted.compare("checkov", ("check", "resource"), found)


def broken(change):
    """A file with the template after `change`; the caller removes it."""
    document = load()
    change(document["Resources"])
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(document, file, indent=1)
    return Path(file.name)


def _break(resources):
    resources["SendJobQueue"]["Properties"]["State"] = "ON"
    resources["SendJob"]["Properties"]["ContainerProperties"]["JobRoleArn"] = {"Fn::GetAtt": ["NoSuchRole", "Arn"]}
    resources["InboundBucket"]["Properties"].pop("PublicAccessBlockConfiguration")
    resources["IntakeQueue"]["Properties"].pop("KmsMasterKeyId")
    resources["Database"]["Properties"]["StorageEncrypted"] = False


def cfn_lint_sees_what_is_wrong():
    path = broken(_break)
    try:
        found = {(f["rule"], f["about"]) for f in cfn_lint(path)}
    finally:
        path.unlink()
    for expected in (("E3030", "SendJobQueue"), ("E1010", "SendJob")):
        if expected not in found:
            yield f"cfn-lint does not see {expected}: {sorted(found)}"


def checkov_sees_what_is_wrong():
    path = broken(_break)
    try:
        found = {(f["check"], f["resource"]) for f in checkov(path)[0]}
    finally:
        path.unlink()
    # Public access to a bucket, encryption of a queue and of a database.
    for expected in (("CKV_AWS_53", "InboundBucket"), ("CKV_AWS_27", "IntakeQueue"), ("CKV_AWS_96", "Database")):
        if expected not in found:
            yield f"checkov does not see {expected}: {sorted(found)}"


ALL = (cfn_lint_is_content, cfn_lint_sees_what_is_wrong, checkov_is_content, checkov_sees_what_is_wrong)
