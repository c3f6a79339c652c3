"""Rights: each action by its name and for a reason, each resource by its name where it has one."""

import re
import tomllib

import accepted
from rule import rule
from template import PLACEHOLDER, ROOT, as_list, text

ROLE = "AWS::IAM::Role"
RESOURCE_POLICIES = ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy")


def role_statements(t):
    """(resource's name, role's word, statement) of what roles may do."""
    for name, role in t.of(ROLE):
        word = role.get("Metadata", {}).get("OutportRole", "")
        for policy in role["Properties"].get("Policies", []):
            for statement in t.statements(policy["PolicyDocument"]):
                yield name, word, statement


def resource_statements(t):
    """(resource's name, statement) of who may come to a resource."""
    for name, policy in t.of(*RESOURCE_POLICIES):
        for statement in t.statements(policy["Properties"]["PolicyDocument"]):
            yield name, statement
    for name, key in t.of("AWS::KMS::Key"):
        for statement in t.statements(key["Properties"]["KeyPolicy"]):
            yield name, statement


def actions_by_role(t):
    found = {}
    for _, word, statement in role_statements(t):
        found.setdefault(word, set()).update(as_list(statement.get("Action")))
    return found


@rule
def every_right_is_said_by_name(t):
    everywhere = [(name, s) for name, _, s in role_statements(t)] + list(resource_statements(t))
    for name, statement in everywhere:
        sid = statement.get("Sid")
        if not sid:
            yield f"{name}: a statement without a Sid"
        for field in ("NotAction", "NotResource", "NotPrincipal"):
            if field in statement:
                yield f"{name} {sid}: says {field}, and so allows what nobody thought of"
        for action in as_list(statement.get("Action")):
            root_of_key = sid == "TheAccountDecidesByIam" and action == "kms:*"
            if statement["Effect"] == "Allow" and "*" in action and not root_of_key:
                yield f"{name} {sid}: allows {action}"


@every_right_is_said_by_name.broken_by("allows s3:Get*")
def _(t):
    t.properties("SenderRole")["Policies"][0]["PolicyDocument"]["Statement"][0]["Action"] = "s3:Get*"


@every_right_is_said_by_name.broken_by("says NotAction")
def _(t):
    statement = t.properties("SenderRole")["Policies"][0]["PolicyDocument"]["Statement"][0]
    statement["NotAction"] = statement.pop("Action")


@every_right_is_said_by_name.broken_by("without a Sid")
def _(t):
    del t.properties("SenderRole")["Policies"][0]["PolicyDocument"]["Statement"][0]["Sid"]


@rule
def roles_have_the_rights_that_calls_need(t):
    """deploy/iam-actions.toml and the template, in both directions."""
    table = tomllib.loads((ROOT / "deploy/iam-actions.toml").read_text())
    granted = actions_by_role(t)
    for name, role in t.of(ROLE):
        if role.get("Metadata", {}).get("OutportRole") not in table:
            yield f"{name}: its OutportRole is not in deploy/iam-actions.toml"
        if role["Properties"].get("ManagedPolicyArns"):
            yield f"{name}: has a policy of AWS, which grows when AWS wants"
    for word, actions in granted.items():
        for action in sorted(actions - set(table.get(word, {}))):
            yield f"{word}: {action} is granted, and deploy/iam-actions.toml knows no call that needs it"
    for word, rows in table.items():
        for action, why in rows.items():
            if action not in granted.get(word, set()):
                yield f"{word}: {action} is in deploy/iam-actions.toml and is not granted"
            calls = why.get("calls", [])
            if not calls and not why.get("because"):
                yield f"{word}: {action} has neither calls nor a reason"
            for call in calls:
                service = action.split(":")[0]
                if not re.fullmatch(rf"{service}\.[A-Z][A-Za-z0-9]+", call):
                    yield f"{word}: {call} is no operation of {service}"


@roles_have_the_rights_that_calls_need.broken_by("sender: s3:PutObject is granted")
def _(t):
    t.properties("SenderRole")["Policies"][0]["PolicyDocument"]["Statement"][0]["Action"].append("s3:PutObject")


@roles_have_the_rights_that_calls_need.broken_by("maintainer: sns:Publish is in deploy/iam-actions.toml and is not granted")
def _(t):
    statements = t.properties("MaintainerRole")["Policies"][0]["PolicyDocument"]["Statement"]
    statements[:] = [s for s in statements if s["Sid"] != "TellPeople"]


@roles_have_the_rights_that_calls_need.broken_by("policy of AWS")
def _(t):
    t.properties("SenderRole")["ManagedPolicyArns"] = ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]


@roles_have_the_rights_that_calls_need.broken_by("is not in deploy/iam-actions.toml")
def _(t):
    del t.resources["SenderRole"]["Metadata"]


@rule
def only_senders_read_secrets_of_partners(t):
    for name, word, statement in role_statements(t):
        for resource in as_list(statement.get("Resource")):
            reads = "secretsmanager:GetSecretValue" in as_list(statement.get("Action"))
            if reads and "/partners/" in text(resource) and word not in ("sender", "worker-send", "operator"):
                yield f"{name}: {word} reads the secrets of partners"


@only_senders_read_secrets_of_partners.broken_by("maintainer reads")
def _(t):
    for statement in t.properties("MaintainerRole")["Policies"][0]["PolicyDocument"]["Statement"]:
        if statement["Sid"] == "SeeThatASecretIsNew":
            statement["Action"] = ["secretsmanager:GetSecretValue"]


@rule
def every_wildcard_has_a_reason(t):
    found = []
    for name, _, statement in role_statements(t):
        for resource in as_list(statement.get("Resource")):
            # A parameter's or a resource's name is a name, whatever is in its braces.
            if "*" in PLACEHOLDER.sub("x", text(resource)):
                found.append({"where": name, "sid": statement.get("Sid", ""), "resource": text(resource)})
    for name, statement in resource_statements(t):
        if statement["Effect"] == "Allow" and "*" in [*as_list(statement.get("Resource")), statement.get("Principal")]:
            found.append({"where": name, "sid": statement.get("Sid", ""), "resource": "*"})
    yield from accepted.compare("wildcard", ("where", "sid", "resource"), found)


@every_wildcard_has_a_reason.broken_by("TellPeople *: is not accepted")
def _(t):
    for statement in t.properties("MaintainerRole")["Policies"][0]["PolicyDocument"]["Statement"]:
        if statement["Sid"] == "TellPeople":
            statement["Resource"] = "*"


@every_wildcard_has_a_reason.broken_by("there is no such thing any more")
def _(t):
    for statement in t.properties("SenderRole")["Policies"][0]["PolicyDocument"]["Statement"]:
        if statement["Sid"] == "ReadArtifacts":
            statement["Resource"] = {"Fn::GetAtt": ["ArtifactBucket", "Arn"]}


@every_wildcard_has_a_reason.broken_by("IntakeQueuePolicy TheInboundBucket *: is not accepted")
def _(t):
    t.properties("IntakeQueuePolicy")["PolicyDocument"]["Statement"][0]["Principal"] = "*"


@rule
def services_come_from_this_account(t):
    """Whoever lets a service of AWS in says for whom it may come: other customers use the same service."""
    for name, role in t.of(ROLE):
        for statement in t.statements(role["Properties"]["AssumeRolePolicyDocument"]):
            if "aws:SourceAccount" not in str(statement.get("Condition")):
                yield f"{name}: any account's service may take this role"
    for name, statement in resource_statements(t):
        principal = statement.get("Principal")
        if statement["Effect"] == "Allow" and isinstance(principal, dict) and "Service" in principal:
            # The key's policy: S3, EventBridge and CloudWatch send no such context there.
            if name != "Key" and not re.search(r"aws:Source(Arn|Account)", str(statement.get("Condition"))):
                yield f"{name} {statement.get('Sid')}: any account's service may come"


@services_come_from_this_account.broken_by("may take this role")
def _(t):
    del t.properties("SenderRole")["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]


@services_come_from_this_account.broken_by("any account's service may come")
def _(t):
    del t.properties("IntakeQueuePolicy")["PolicyDocument"]["Statement"][0]["Condition"]
