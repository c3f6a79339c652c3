"""Environments of tasks and jobs: names that the program knows, and nothing that must not be read there."""

import re
import tomllib

from rule import rule
from template import ROOT, text

# Read by others than our own settings.
FOREIGN = {"TMPDIR"}
SECRETIVE = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL|PRIVATE|API_?KEY")
# A way to a secret, not the secret.
REFERENCE = re.compile(r"^(env|file|aws-sm):")


def environments(t):
    """(where, name, value text) of every variable."""
    for name, task in t.of("AWS::ECS::TaskDefinition"):
        for container in task["Properties"]["ContainerDefinitions"]:
            for variable in t.branches(container.get("Environment")):
                yield name, variable["Name"], text(variable["Value"])
    for name, job in t.of("AWS::Batch::JobDefinition"):
        for variable in t.branches(job["Properties"]["ContainerProperties"].get("Environment")):
            yield name, variable["Name"], text(variable["Value"])


def known_settings():
    table = tomllib.loads((ROOT / "engine/outport/src/config/default.toml").read_text())
    for key, value in table.items():
        for name in [f"{key}_{inner}" for inner in value] if isinstance(value, dict) else [key]:
            yield "OUTPORT_" + name.upper()


@rule
def every_variable_is_a_setting(t):
    known = set(known_settings())
    listed = tomllib.loads((ROOT / "deploy/settings.toml").read_text())
    coming = set(listed["not_in_this_version"])
    used = {variable for _, variable, _ in environments(t)}
    for where, variable, _ in environments(t):
        if variable not in known | coming | FOREIGN:
            yield f"{where}: {variable} is no setting"
    for variable in sorted(coming & known):
        yield f"{variable} is a setting now: take it out of deploy/settings.toml"
    for variable in sorted(coming - used):
        yield f"deploy/settings.toml: {variable} is not used"


@every_variable_is_a_setting.broken_by("OUTPORT_INTAKE_QUEU is no setting")
def _(t):
    for variable in t.properties("DispatcherTask")["ContainerDefinitions"][0]["Environment"]:
        variable["Name"] = re.sub("QUEUE$", "QUEU", variable["Name"])


@every_variable_is_a_setting.broken_by("OUTPORT_KEY is no setting")
def _(t):
    environment = t.properties("SendJob")["ContainerProperties"]["Environment"]
    environment.append({"Name": "OUTPORT_KEY", "Value": "claims/acme/a.json"})


@rule
def no_secret_is_in_an_environment(t):
    for where, variable, value in environments(t):
        if SECRETIVE.search(variable) and not REFERENCE.match(value):
            yield f"{where}: {variable} is a secret in the open; name it under Secrets"
        if "{{resolve:" in value:
            yield f"{where}: {variable} is resolved when the stack is made, and stands in the open"
        if re.search(r"://[^/@]*:[^/@$]*@", value):
            yield f"{where}: {variable} has a password in its URL"


@no_secret_is_in_an_environment.broken_by("PGPASSWORD is a secret in the open")
def _(t):
    t.properties("SendJob")["ContainerProperties"]["Environment"].append({"Name": "PGPASSWORD", "Value": "x"})


@no_secret_is_in_an_environment.broken_by("stands in the open")
def _(t):
    value = "{{resolve:secretsmanager:outport:SecretString:password}}"
    t.properties("SenderTask")["ContainerDefinitions"][0]["Environment"].append({"Name": "TMPDIR", "Value": value})


@no_secret_is_in_an_environment.broken_by("password in its URL")
def _(t):
    environment = t.properties("SendJob")["ContainerProperties"]["Environment"]
    environment[0]["Value"] = "postgres://outport:geheim@db.example/outport"
