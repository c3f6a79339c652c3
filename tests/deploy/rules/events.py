"""Doorbells: what is announced reaches a queue that takes it, and what nobody could take is kept."""

from rule import rule
from template import as_list, text


def dead_letters(t):
    """Names of the queues that others send their dead letters to."""
    for _, queue in t.of("AWS::SQS::Queue"):
        if target := queue["Properties"].get("RedrivePolicy", {}).get("deadLetterTargetArn"):
            yield target["Fn::GetAtt"][0]


@rule
def every_queue_has_dead_letters_that_stay(t):
    dead = set(dead_letters(t))
    for name, queue in t.of("AWS::SQS::Queue"):
        properties = queue["Properties"]
        if name in dead:
            if properties.get("MessageRetentionPeriod") != 1209600:
                yield f"{name}: dead letters are not kept for 14 days"
        else:
            if not properties.get("RedrivePolicy"):
                yield f"{name}: has no dead letter queue"
            count = properties.get("RedrivePolicy", {}).get("maxReceiveCount", 0)
            # A database that is away for half an hour is an outage, not a poisoned message.
            if count * properties.get("VisibilityTimeout", 30) < 1800:
                yield f"{name}: an outage of half an hour makes dead letters"
        if "KmsMasterKeyId" not in properties:
            yield f"{name}: is not encrypted with the stack's key"


@every_queue_has_dead_letters_that_stay.broken_by("has no dead letter queue")
def _(t):
    del t.properties("BatchEventsQueue")["RedrivePolicy"]


@every_queue_has_dead_letters_that_stay.broken_by("outage of half an hour")
def _(t):
    t.properties("IntakeQueue")["RedrivePolicy"]["maxReceiveCount"] = 3


@every_queue_has_dead_letters_that_stay.broken_by("not kept for 14 days")
def _(t):
    del t.properties("IntakeDeadLetters")["MessageRetentionPeriod"]


@every_queue_has_dead_letters_that_stay.broken_by("not encrypted")
def _(t):
    del t.properties("IntakeQueue")["KmsMasterKeyId"]


def allows(t, queue, service, source):
    """Whether the queue's policy lets `service` send on behalf of what has `source` in its ARN."""
    for _, policy in t.of("AWS::SQS::QueuePolicy"):
        if {"Ref": queue} not in as_list(policy["Properties"]["Queues"]):
            continue
        for statement in t.statements(policy["Properties"]["PolicyDocument"]):
            condition = statement.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn")
            if (
                statement["Effect"] == "Allow"
                and statement["Principal"] == {"Service": service}
                and statement["Action"] == "sqs:SendMessage"
                and condition is not None
                and source in text(condition)
            ):
                return True
    return False


@rule
def who_rings_is_let_in(t):
    """Without the queue's policy, or the key's, the message vanishes without a word."""
    key = " ".join(text(s.get("Principal")) + text(s["Action"]) for s in t.statements(t.properties("Key")["KeyPolicy"]))
    for name, rule_ in t.of("AWS::Events::Rule"):
        for target in rule_["Properties"]["Targets"]:
            places = [target["Arn"]]
            if "DeadLetterConfig" in target:
                places.append(target["DeadLetterConfig"]["Arn"])
            else:
                yield f"{name}: what finds no queue is lost"
            for place in places:
                queue = place["Fn::GetAtt"][0]
                if not allows(t, queue, "events.amazonaws.com", name + ".Arn"):
                    yield f"{name}: {queue} does not let it in"
    bucket = t.properties("InboundBucket")
    for configuration in bucket["NotificationConfiguration"]["QueueConfigurations"]:
        queue = configuration["Queue"]["Fn::GetAtt"][0]
        if not allows(t, queue, "s3.amazonaws.com", "${InboundBucketName}"):
            yield f"InboundBucket: {queue} does not let it in"
    if "IntakeQueuePolicy" not in as_list(t.resources["InboundBucket"].get("DependsOn")):
        yield "InboundBucket: is made before the queue lets it in"
    for service in ("s3.amazonaws.com", "events.amazonaws.com", "cloudwatch.amazonaws.com"):
        if service not in key or "kms:GenerateDataKey" not in key:
            yield f"Key: {service} may not use it"


@who_rings_is_let_in.broken_by("BatchEventsQueue does not let it in")
def _(t):
    t.properties("BatchEventsQueuePolicy")["PolicyDocument"]["Statement"].pop(0)


@who_rings_is_let_in.broken_by("IntakeDeadLetters does not let it in")
def _(t):
    t.properties("IntakeDeadLettersPolicy")["PolicyDocument"]["Statement"].pop(0)


@who_rings_is_let_in.broken_by("what finds no queue is lost")
def _(t):
    del t.properties("UploadCompletedRule")["Targets"][0]["DeadLetterConfig"]


@who_rings_is_let_in.broken_by("InboundBucket: IntakeQueue does not let it in")
def _(t):
    t.properties("IntakeQueuePolicy")["PolicyDocument"]["Statement"].pop(0)


@who_rings_is_let_in.broken_by("before the queue")
def _(t):
    del t.resources["InboundBucket"]["DependsOn"]


@who_rings_is_let_in.broken_by("s3.amazonaws.com may not use it")
def _(t):
    t.properties("Key")["KeyPolicy"]["Statement"].pop(1)
