"""Job definitions. The linters took 11 attempts, a timeout of 10 s and 1 vCPU with 700 MiB without a word."""

from rule import rule
from template import text

JOB = "AWS::Batch::JobDefinition"
RULE_FIELDS = ("OnStatusReason", "OnReason", "OnExitCode")


@rule
def jobs_are_tried_at_most_ten_times(t):
    for name, job in t.of(JOB):
        attempts = job["Properties"].get("RetryStrategy", {}).get("Attempts")
        if not isinstance(attempts, int) or not 1 <= attempts <= 10:
            yield f"{name}: {attempts} attempts; Batch takes 1 to 10"


@jobs_are_tried_at_most_ten_times.broken_by("11 attempts")
def _(t):
    t.properties("SendJob")["RetryStrategy"]["Attempts"] = 11


@jobs_are_tried_at_most_ten_times.broken_by("None attempts")
def _(t):
    del t.properties("SendJob")["RetryStrategy"]


def is_catch_all(rule):
    return [rule.get(field) for field in RULE_FIELDS if field in rule] == ["*"]


@rule
def only_infrastructure_faults_are_retried_by_batch(t):
    for name, job in t.of(JOB):
        rules = job["Properties"].get("RetryStrategy", {}).get("EvaluateOnExit", [])
        if len(rules) > 5:
            yield f"{name}: {len(rules)} rules; Batch takes 5"
        if not rules or not is_catch_all(rules[-1]) or rules[-1].get("Action") != "EXIT":
            yield f"{name}: the last rule is not a catch-all EXIT; what matches no rule is retried"
        for one in rules[:-1]:
            if is_catch_all(one):
                yield f"{name}: a catch-all stands before the last rule"
            for field in RULE_FIELDS:
                # "Evaluate on exit condition contains restricted characters" at registration otherwise.
                if "*" in one.get(field, "")[:-1]:
                    yield f"{name}: {one[field]!r} has an asterisk that is not at its end"


@only_infrastructure_faults_are_retried_by_batch.broken_by("not a catch-all EXIT")
def _(t):
    t.properties("TransformJob")["RetryStrategy"]["EvaluateOnExit"].pop()


@only_infrastructure_faults_are_retried_by_batch.broken_by("not a catch-all EXIT")
def _(t):
    t.properties("TransformJob")["RetryStrategy"]["EvaluateOnExit"][-1]["Action"] = "RETRY"


@only_infrastructure_faults_are_retried_by_batch.broken_by("6 rules")
def _(t):
    t.properties("SendJob")["RetryStrategy"]["EvaluateOnExit"].insert(0, {"Action": "RETRY", "OnStatusReason": "Host EC2*"})


@only_infrastructure_faults_are_retried_by_batch.broken_by("before the last rule")
def _(t):
    t.properties("SendJob")["RetryStrategy"]["EvaluateOnExit"][0] = {"Action": "RETRY", "OnReason": "*"}


@only_infrastructure_faults_are_retried_by_batch.broken_by("not at its end")
def _(t):
    t.properties("SendJob")["RetryStrategy"]["EvaluateOnExit"][0]["OnStatusReason"] = "*interrupted*"


@rule
def jobs_have_a_timeout_that_batch_takes(t):
    for name, job in t.of(JOB):
        seconds = job["Properties"].get("Timeout", {}).get("AttemptDurationSeconds")
        if not isinstance(seconds, int) or seconds < 60:
            yield f"{name}: a timeout of {seconds} s; Batch takes 60 and more"


@jobs_have_a_timeout_that_batch_takes.broken_by("10 s")
def _(t):
    t.properties("SendJob")["Timeout"]["AttemptDurationSeconds"] = 10


@jobs_have_a_timeout_that_batch_takes.broken_by("None s")
def _(t):
    del t.properties("TransformJob")["Timeout"]


@rule
def jobs_have_tags(t):
    for name, job in t.of(JOB):
        properties = job["Properties"]
        if not properties.get("Tags"):
            yield f"{name}: no tags"
        if properties.get("PropagateTags") is not True:
            yield f"{name}: its tags do not reach the task"


@jobs_have_tags.broken_by("no tags")
def _(t):
    t.properties("SendJob")["Tags"] = {}


@jobs_have_tags.broken_by("do not reach")
def _(t):
    del t.properties("SendJob")["PropagateTags"]


@rule
def jobs_take_no_parameters(t):
    """Everybody who may describe jobs reads their parameters: a file's name or a secret would come in through them."""
    for name, job in t.of(JOB):
        properties = job["Properties"]
        if properties.get("Parameters"):
            yield f"{name}: has parameters"
        for word in properties["ContainerProperties"].get("Command", []):
            if "Ref::" in text(word):
                yield f"{name}: the command takes a parameter, {text(word)}"


@jobs_take_no_parameters.broken_by("has parameters")
def _(t):
    t.properties("SendJob")["Parameters"] = {"key": "claims/acme/a.json"}


@jobs_take_no_parameters.broken_by("Ref::file")
def _(t):
    t.properties("SendJob")["ContainerProperties"]["Command"].append("Ref::file")


@rule
def jobs_run_as_nobody_in_particular(t):
    for name, job in t.of(JOB):
        container = job["Properties"]["ContainerProperties"]
        if str(container.get("User", "root")) in ("root", "0"):
            yield f"{name}: runs as root"
        if container.get("ReadonlyRootFilesystem") is not True:
            yield f"{name}: may write into its image"
        if container.get("Privileged"):
            yield f"{name}: is privileged"


@jobs_run_as_nobody_in_particular.broken_by("as root")
def _(t):
    del t.properties("SendJob")["ContainerProperties"]["User"]


@jobs_run_as_nobody_in_particular.broken_by("write into its image")
def _(t):
    t.properties("SendJob")["ContainerProperties"]["ReadonlyRootFilesystem"] = False


@jobs_run_as_nobody_in_particular.broken_by("is privileged")
def _(t):
    t.properties("SendJob")["ContainerProperties"]["Privileged"] = True
