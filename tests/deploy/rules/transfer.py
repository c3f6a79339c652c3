"""The upload server: FTPS needs passwords, and an upload is announced once it is complete, by one bell."""

import itertools

from rule import rule
from template import text


def holds(t, condition, values):
    """Evaluates a condition of the section Rules."""
    (function, value), = condition.items()
    if function == "Fn::Equals":
        left, right = (values[v["Ref"]] if isinstance(v, dict) else v for v in value)
        return left == right
    if function == "Fn::Not":
        return not holds(t, value[0], values)
    raise ValueError(f"cannot evaluate {function}")


def refused(t, values):
    """Names of the rules that refuse these parameters."""
    for name, one in t.document.get("Rules", {}).items():
        if holds(t, one["RuleCondition"], values) and not all(holds(t, a["Assert"], values) for a in one["Assertions"]):
            yield name


@rule
def ftps_without_passwords_is_refused(t):
    parameters = ("TransferServer", "TransferIdentityProvider")
    for server, provider in itertools.product(*(t.parameters[p]["AllowedValues"] for p in parameters)):
        values = {
            "TransferServer": server,
            "TransferIdentityProvider": provider,
            "TransferIdentityTarget": "target",
            "TransferInvocationRoleArn": "role",
            "TransferCertificateArn": "certificate",
            "FirstUserName": "",
            "FirstUserPublicKey": "",
        }
        expected = server == "SFTP and FTPS" and provider == "SERVICE_MANAGED"
        if bool(list(refused(t, values))) != expected:
            yield f"{server} with {provider} is {'taken' if expected else 'refused'}"
        if server == "SFTP and FTPS" and not list(refused(t, values | {"TransferCertificateArn": ""})):
            yield "FTPS without a certificate is taken"
        if provider != "SERVICE_MANAGED" and not list(refused(t, values | {"TransferIdentityTarget": ""})):
            yield f"{provider} without a target is taken"
        if provider == "API_GATEWAY" and not list(refused(t, values | {"TransferInvocationRoleArn": ""})):
            yield "API_GATEWAY without a role is taken"
    first = dict.fromkeys(("TransferIdentityTarget", "TransferInvocationRoleArn", "TransferCertificateArn"), "x")
    first |= {"TransferServer": "SFTP", "FirstUserName": "acme", "FirstUserPublicKey": "ssh-ed25519 AAAA"}
    if not list(refused(t, first | {"TransferIdentityProvider": "AWS_LAMBDA"})):
        yield "a first user with AWS_LAMBDA is taken"
    if not list(refused(t, first | {"TransferIdentityProvider": "SERVICE_MANAGED", "FirstUserPublicKey": ""})):
        yield "a first user without a key is taken"


@ftps_without_passwords_is_refused.broken_by("SFTP and FTPS with SERVICE_MANAGED is taken")
def _(t):
    t.document["Rules"]["FtpsNeedsPasswords"]["Assertions"].pop(0)


@ftps_without_passwords_is_refused.broken_by("without a certificate")
def _(t):
    t.document["Rules"]["FtpsNeedsPasswords"]["Assertions"].pop(1)


@ftps_without_passwords_is_refused.broken_by("without a target")
def _(t):
    del t.document["Rules"]["IdentityNeedsItsTarget"]


@rule
def uploads_ring_one_bell(t):
    """S3 announces broken uploads, too: below home/ only Transfer Family's word counts."""
    notification = t.properties("InboundBucket")["NotificationConfiguration"]["QueueConfigurations"][0]
    prefix = {"S3Key": {"Rules": [{"Name": "prefix", "Value": {"Ref": "DirectPrefix"}}]}}
    if notification.get("Filter") != {"Fn::If": ["HasTransfer", prefix, {"Ref": "AWS::NoValue"}]}:
        yield "InboundBucket: S3 announces what the upload server announces"
    for name, user in t.of("AWS::Transfer::User"):
        homes = [text(m["Target"]) for m in user["Properties"].get("HomeDirectoryMappings", [])]
        if homes != ["/${InboundBucketName}/home/${!transfer:UserName}"]:
            yield f"{name}: is at home in {homes}"
        if user["Properties"].get("HomeDirectoryType") != "LOGICAL":
            yield f"{name}: sees the names of buckets"
    kinds = t.properties("UploadCompletedRule")["EventPattern"]["detail-type"]
    if sorted(kinds) != ["FTPS Server File Upload Completed", "SFTP Server File Upload Completed"]:
        yield f"UploadCompletedRule: listens to {kinds}"


@uploads_ring_one_bell.broken_by("S3 announces")
def _(t):
    del t.properties("InboundBucket")["NotificationConfiguration"]["QueueConfigurations"][0]["Filter"]


@uploads_ring_one_bell.broken_by("is at home in")
def _(t):
    t.properties("FirstUser")["HomeDirectoryMappings"][0]["Target"] = {"Fn::Sub": "/${InboundBucketName}/direct"}


@uploads_ring_one_bell.broken_by("listens to")
def _(t):
    t.properties("UploadCompletedRule")["EventPattern"]["detail-type"].append("SFTP Server File Upload Failed")


@rule
def the_upload_server_is_up_to_date(t):
    for name, server in t.of("AWS::Transfer::Server"):
        properties = server["Properties"]
        if properties.get("EndpointType") != "VPC":
            yield f"{name}: has an endpoint that no security group guards"
        policy = properties.get("SecurityPolicyName")
        for (value,) in t.possible(policy):
            # Without a name CloudFormation takes the policy of 2018; those before 2023 allow SHA-1.
            year = "".join(c for c in str(value) if c.isdigit())[:4]
            if not year or int(year) < 2024:
                yield f"{name}: the security policy is {value}"
        if "HasFtps" not in str(properties.get("ProtocolDetails", {}).get("TlsSessionResumptionMode")):
            yield f"{name}: FTPS data connections may come from anybody"


@the_upload_server_is_up_to_date.broken_by("security policy is None")
def _(t):
    del t.properties("TransferServerEndpoint")["SecurityPolicyName"]


@the_upload_server_is_up_to_date.broken_by("TransferSecurityPolicy-2020-06")
def _(t):
    t.parameters["TransferSecurityPolicy"]["AllowedValues"].append("TransferSecurityPolicy-2020-06")


@the_upload_server_is_up_to_date.broken_by("no security group")
def _(t):
    t.properties("TransferServerEndpoint")["EndpointType"] = "PUBLIC"


@the_upload_server_is_up_to_date.broken_by("from anybody")
def _(t):
    del t.properties("TransferServerEndpoint")["ProtocolDetails"]["TlsSessionResumptionMode"]
