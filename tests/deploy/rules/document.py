"""What people read: descriptions, the form of the console, and the manual."""

from rule import rule
from template import ROOT


@rule
def every_parameter_and_output_is_described(t):
    for kind in ("Parameters", "Outputs"):
        for name, one in t.document[kind].items():
            if not str(one.get("Description", "")).endswith("."):
                yield f"{name}: has no description, or one that is no sentence"
    groups = t.document["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in groups for name in group["Parameters"]]
    for name in t.parameters:
        if shown.count(name) != 1:
            yield f"{name}: stands {shown.count(name)} times in the console's form"
    for name in set(shown) - set(t.parameters):
        yield f"{name}: stands in the console's form and is no parameter"


@every_parameter_and_output_is_described.broken_by("VpcId: has no description")
def _(t):
    del t.parameters["VpcId"]["Description"]


@every_parameter_and_output_is_described.broken_by("KeyArn: has no description")
def _(t):
    del t.document["Outputs"]["KeyArn"]["Description"]


@every_parameter_and_output_is_described.broken_by("Extra: stands 0 times")
def _(t):
    t.parameters["Extra"] = {"Type": "String", "Description": "Nothing."}


@rule
def the_manual_knows_alarms_and_parameters(t):
    manual = (ROOT / "docs/AWS.md").read_text()
    for name, _ in t.of("AWS::CloudWatch::Alarm"):
        if f"`{name}`" not in manual:
            yield f"docs/AWS.md does not say what to do at {name}"
    for name, parameter in t.parameters.items():
        if "Default" not in parameter and f"{name}=" not in manual:
            yield f"docs/AWS.md makes a stack without {name}"


@the_manual_knows_alarms_and_parameters.broken_by("what to do at SomethingAlarm")
def _(t):
    t.resources["SomethingAlarm"] = {"Type": "AWS::CloudWatch::Alarm", "Properties": {}}


@the_manual_knows_alarms_and_parameters.broken_by("without Extra")
def _(t):
    t.parameters["Extra"] = {"Type": "String", "Description": "Nothing."}
