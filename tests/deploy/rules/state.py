"""What holds data is kept, encrypted, and reached by TLS alone."""

import tomllib

from rule import rule
from template import ROOT, as_list

# A type that holds what nobody can make again, and how it may end.
KEPT = {
    "AWS::S3::Bucket": ("Retain",),
    "AWS::SQS::Queue": ("Retain",),
    "AWS::KMS::Key": ("Retain",),
    "AWS::SecretsManager::Secret": ("Retain",),
    "AWS::Logs::LogGroup": ("Retain",),
    "AWS::RDS::DBCluster": ("Retain", "Snapshot"),
    # Its host key: partners have pinned it.
    "AWS::Transfer::Server": ("Retain",),
}
# Types that were looked at and hold nothing. A new type has to be put into one of the two lists.
HOLDS_NOTHING = {
    "AWS::Batch::ComputeEnvironment",
    "AWS::Batch::JobDefinition",
    "AWS::Batch::JobQueue",
    "AWS::CloudWatch::Alarm",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::ECS::Cluster",
    "AWS::ECS::Service",
    "AWS::ECS::TaskDefinition",
    "AWS::Events::Rule",
    "AWS::IAM::Role",
    "AWS::Lambda::Permission",
    "AWS::RDS::DBClusterParameterGroup",
    "AWS::RDS::DBInstance",  # if it belongs to a cluster: looked at below
    "AWS::RDS::DBSubnetGroup",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::Transfer::User",
    "AWS::Transfer::Workflow",
}


@rule
def what_holds_data_is_kept(t):
    for name, resource in t.resources.items():
        kind = resource["Type"]
        if kind not in KEPT and kind not in HOLDS_NOTHING:
            yield f"{name}: nobody has said whether a {kind} holds data (tests/deploy/rules/state.py)"
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if kind in KEPT and resource.get(policy) not in KEPT[kind]:
                yield f"{name}: its {policy} is {resource.get(policy)}"
        if kind == "AWS::RDS::DBInstance" and "DBClusterIdentifier" not in resource["Properties"]:
            yield f"{name}: an instance without a cluster holds the data itself"


for _type in sorted(KEPT):

    @what_holds_data_is_kept.broken_by("DeletionPolicy is None")
    def _(t, kind=_type):
        name, resource = t.of(kind)[0]
        del resource["DeletionPolicy"]


@what_holds_data_is_kept.broken_by("UpdateReplacePolicy is Delete")
def _(t):
    t.resources["InboundBucket"]["UpdateReplacePolicy"] = "Delete"


@what_holds_data_is_kept.broken_by("nobody has said whether a AWS::EFS::FileSystem")
def _(t):
    t.resources["Shared"] = {"Type": "AWS::EFS::FileSystem"}


@what_holds_data_is_kept.broken_by("without a cluster")
def _(t):
    del t.properties("DatabaseWriter")["DBClusterIdentifier"]


@rule
def buckets_lose_nothing_and_keep_no_rubbish(t):
    for name, bucket in t.of("AWS::S3::Bucket"):
        properties = bucket["Properties"]
        if properties.get("VersioningConfiguration", {}).get("Status") != "Enabled":
            yield f"{name}: has no versions"
        rules = properties.get("LifecycleConfiguration", {}).get("Rules", [])
        if not any("AbortIncompleteMultipartUpload" in r and r["Status"] == "Enabled" for r in rules):
            yield f"{name}: unfinished uploads stay for ever"
        for one in rules:
            if {"ExpirationInDays", "ExpirationDate"} & set(one):
                yield f"{name}: {one['Id']} removes newest versions"


@buckets_lose_nothing_and_keep_no_rubbish.broken_by("has no versions")
def _(t):
    t.properties("InboundBucket")["VersioningConfiguration"]["Status"] = "Suspended"


@buckets_lose_nothing_and_keep_no_rubbish.broken_by("unfinished uploads")
def _(t):
    t.properties("ArtifactBucket")["LifecycleConfiguration"]["Rules"].pop(0)


@buckets_lose_nothing_and_keep_no_rubbish.broken_by("removes newest versions")
def _(t):
    t.properties("InboundBucket")["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] = 30


@rule
def arrived_versions_outlive_the_ledger(t):
    defaults = tomllib.loads((ROOT / "engine/outport/src/config/default.toml").read_text())
    days = int(defaults["retention"]["ledger"].removesuffix("h")) / 24
    parameter = t.parameters["InboundVersionDays"]
    if not parameter["Default"] >= parameter["MinValue"] > days:
        yield f"InboundVersionDays may be {parameter['MinValue']}; the ledger knows files for {days:g} days"


@arrived_versions_outlive_the_ledger.broken_by("may be 30")
def _(t):
    t.parameters["InboundVersionDays"]["MinValue"] = 30


POLICY_OF = {
    "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket"),
    "AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues"),
    "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics"),
}


@rule
def tls_alone(t):
    for kind, (policies, field) in POLICY_OF.items():
        for name, _ in t.of(kind):
            denies = [
                s
                for _, policy in t.of(policies)
                if {"Ref": name} in as_list(policy["Properties"][field])
                for s in t.statements(policy["Properties"]["PolicyDocument"])
                if s["Effect"] == "Deny" and s["Principal"] == "*"
                and s.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
            ]
            if not denies:
                yield f"{name}: may be reached without TLS"


@tls_alone.broken_by("IntakeQueue: may be reached without TLS")
def _(t):
    del t.resources["IntakeQueuePolicy"]


@tls_alone.broken_by("InboundBucket: may be reached without TLS")
def _(t):
    t.properties("InboundBucketPolicy")["PolicyDocument"]["Statement"][0]["Condition"] = {"Bool": {"aws:SecureTransport": "true"}}


@rule
def the_database_is_private_and_kept(t):
    for name, cluster in t.of("AWS::RDS::DBCluster"):
        properties = cluster["Properties"]
        for field in ("StorageEncrypted", "DeletionProtection", "CopyTagsToSnapshot", "ManageMasterUserPassword"):
            if properties.get(field) is not True:
                yield f"{name}: no {field}"
        if "MasterUserPassword" in properties:
            yield f"{name}: its master password is in the template"
        parameters = t.properties("DatabaseParameters")["Parameters"]
        if parameters.get("rds.force_ssl") != "1":
            yield f"{name}: takes connections without TLS"
        if parameters.get("log_statement") != "none" or parameters.get("log_parameter_max_length") != "0":
            yield f"{name}: its log has passwords of ALTER ROLE, or keys of files"
    for name, instance in t.of("AWS::RDS::DBInstance"):
        if instance["Properties"].get("PubliclyAccessible") is not False:
            yield f"{name}: is public"


@the_database_is_private_and_kept.broken_by("no DeletionProtection")
def _(t):
    t.properties("Database")["DeletionProtection"] = False


@the_database_is_private_and_kept.broken_by("is public")
def _(t):
    t.properties("DatabaseWriter")["PubliclyAccessible"] = True


@the_database_is_private_and_kept.broken_by("without TLS")
def _(t):
    t.properties("DatabaseParameters")["Parameters"]["rds.force_ssl"] = "0"


@the_database_is_private_and_kept.broken_by("passwords of ALTER ROLE")
def _(t):
    t.properties("DatabaseParameters")["Parameters"]["log_statement"] = "ddl"


@the_database_is_private_and_kept.broken_by("in the template")
def _(t):
    t.properties("Database")["MasterUserPassword"] = "geheim"


@rule
def nothing_lets_connections_in_but_the_database_and_the_upload_server(t):
    for name, group in t.of("AWS::EC2::SecurityGroup"):
        allowed = name in ("DatabaseSecurityGroup", "TransferSecurityGroup")
        if group["Properties"].get("SecurityGroupIngress") and not allowed:
            yield f"{name}: lets connections in"
        for one in t.branches(group["Properties"].get("SecurityGroupIngress")):
            if one.get("CidrIp") == "0.0.0.0/0":
                yield f"{name}: lets the whole world in"
        if not group["Properties"].get("SecurityGroupEgress"):
            yield f"{name}: lets everything out, because it does not say what"


@nothing_lets_connections_in_but_the_database_and_the_upload_server.broken_by("ServiceSecurityGroup: lets connections in")
def _(t):
    t.properties("ServiceSecurityGroup")["SecurityGroupIngress"] = [{"IpProtocol": "tcp", "FromPort": 9464, "ToPort": 9464, "CidrIp": "10.0.0.0/8"}]


@nothing_lets_connections_in_but_the_database_and_the_upload_server.broken_by("whole world")
def _(t):
    t.properties("TransferSecurityGroup")["SecurityGroupIngress"][0]["CidrIp"] = "0.0.0.0/0"


@nothing_lets_connections_in_but_the_database_and_the_upload_server.broken_by("does not say what")
def _(t):
    del t.properties("DatabaseSecurityGroup")["SecurityGroupEgress"]
