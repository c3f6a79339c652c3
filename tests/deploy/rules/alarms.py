"""Alarms: a metric that nobody sends never rings."""

import tomllib

from rule import rule
from template import ROOT, text
from .events import dead_letters

ALARM = "AWS::CloudWatch::Alarm"
OWN = "Outport/${AWS::StackName}"


def metrics():
    return tomllib.loads((ROOT / "deploy/metrics.toml").read_text())["metric"]


@rule
def alarms_name_metrics_that_are_sent(t):
    known = {(OWN if m["namespace"] == "Outport" else m["namespace"], m["name"]): m.get("dimensions", []) for m in metrics()}
    named = set()
    for name, alarm in t.of(ALARM):
        properties = alarm["Properties"]
        metric = (text(properties["Namespace"]), properties["MetricName"])
        named.add(metric)
        if metric not in known:
            yield f"{name}: nobody sends {metric[0]} {metric[1]}"
            continue
        dimensions = [d["Name"] for d in properties.get("Dimensions", [])]
        if dimensions != known[metric]:
            yield f"{name}: {metric[1]} has the dimensions {known[metric]}, not {dimensions}"
    for metric in sorted(set(known) - named):
        yield f"{metric[1]}: has no alarm"


@alarms_name_metrics_that_are_sent.broken_by("nobody sends Outport/${AWS::StackName} lanes_opn")
def _(t):
    t.properties("LanesOpenAlarm")["MetricName"] = "lanes_opn"


@alarms_name_metrics_that_are_sent.broken_by("lanes_open: has no alarm")
def _(t):
    del t.resources["LanesOpenAlarm"]


@alarms_name_metrics_that_are_sent.broken_by("has the dimensions")
def _(t):
    del t.properties("IntakeAgeAlarm")["Dimensions"]


@rule
def the_namespace_is_the_one_that_the_program_is_told(t):
    for name, task in t.of("AWS::ECS::TaskDefinition"):
        environment = {v["Name"]: text(v["Value"]) for v in task["Properties"]["ContainerDefinitions"][0]["Environment"]}
        if environment.get("OUTPORT_METRICS_NAMESPACE") != OWN:
            yield f"{name}: sends to {environment.get('OUTPORT_METRICS_NAMESPACE')}, the alarms listen to {OWN}"


@the_namespace_is_the_one_that_the_program_is_told.broken_by("sends to Outport,")
def _(t):
    for variable in t.properties("MaintainerTask")["ContainerDefinitions"][0]["Environment"]:
        if variable["Name"] == "OUTPORT_METRICS_NAMESPACE":
            variable["Value"] = "Outport"


@rule
def people_hear_of_alarms(t):
    for name, alarm in t.of(ALARM):
        for field in ("AlarmActions", "OKActions"):
            if alarm["Properties"].get(field) != [{"Ref": "NoticeTopic"}]:
                yield f"{name}: {field} does not tell people"
        if not alarm["Properties"].get("AlarmDescription"):
            yield f"{name}: does not say what is wrong"
        if "TreatMissingData" not in alarm["Properties"]:
            yield f"{name}: does not say what silence means"


@people_hear_of_alarms.broken_by("does not tell people")
def _(t):
    t.properties("IntakeAgeAlarm")["AlarmActions"] = []


@people_hear_of_alarms.broken_by("what silence means")
def _(t):
    del t.properties("OldestDueAlarm")["TreatMissingData"]


@rule
def dead_letters_and_silence_ring(t):
    watched = {
        (alarm["Properties"]["MetricName"], text(d["Value"]))
        for _, alarm in t.of(ALARM)
        for d in alarm["Properties"].get("Dimensions", [])
    }
    for queue in dead_letters(t):
        if ("ApproximateNumberOfMessagesVisible", "${" + queue + ".QueueName}") not in watched:
            yield f"{queue}: nobody hears of dead letters"
    if ("ApproximateAgeOfOldestMessage", "${IntakeQueue.QueueName}") not in watched:
        yield "IntakeQueue: nobody hears that events wait"
    silent = t.properties("OldestDueAlarm").get("TreatMissingData")
    if silent != {"Fn::If": ["IsRunning", "breaching", "notBreaching"]}:
        yield "OldestDueAlarm: does not ring when the engine says nothing"


@dead_letters_and_silence_ring.broken_by("BatchEventsDeadLetters: nobody hears")
def _(t):
    del t.resources["BatchEventsDeadLettersAlarm"]


@dead_letters_and_silence_ring.broken_by("events wait")
def _(t):
    del t.resources["IntakeAgeAlarm"]


@dead_letters_and_silence_ring.broken_by("says nothing")
def _(t):
    t.properties("OldestDueAlarm")["TreatMissingData"] = "notBreaching"
