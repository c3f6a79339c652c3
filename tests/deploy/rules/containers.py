"""Tasks of the service and of Batch: sizes that exist, an end that the drain fits into, a health check that works."""

import http.server
import re
import subprocess
import threading
import tomllib

from rule import rule
from template import ROOT, as_list

TASK = "AWS::ECS::TaskDefinition"
JOB = "AWS::Batch::JobDefinition"
SERVICE = "AWS::ECS::Service"

# CPU units -> MiB: "Amazon ECS task definition invalid CPU or memory errors" of the ECS developer guide.
FARGATE = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}


def sizes(t):
    """(name, CPU units, MiB) of every task and job, for each choice of the parameters."""
    for name, task in t.of(TASK):
        for cpu, memory in t.possible(task["Properties"].get("Cpu"), task["Properties"].get("Memory")):
            yield name, float(cpu or 0), float(memory or 0)
    for name, job in t.of(JOB):
        needs = {r["Type"]: r["Value"] for r in job["Properties"]["ContainerProperties"].get("ResourceRequirements", [])}
        for vcpu, memory in t.possible(needs.get("VCPU"), needs.get("MEMORY")):
            yield name, float(vcpu or 0) * 1024, float(memory or 0)


@rule
def fargate_has_such_sizes(t):
    for name, cpu, memory in sizes(t):
        if memory not in FARGATE.get(cpu, ()):
            yield f"{name}: Fargate has no {cpu / 1024:g} vCPU with {memory:g} MiB"


@fargate_has_such_sizes.broken_by("1 vCPU with 700 MiB")
def _(t):
    needs = t.properties("SendJob")["ContainerProperties"]["ResourceRequirements"]
    needs[0]["Value"], needs[1]["Value"] = "1", "700"


@fargate_has_such_sizes.broken_by("0.25 vCPU with 4096 MiB")
def _(t):
    t.document["Mappings"]["Sizes"]["small"]["Memory"] = "4096"


@fargate_has_such_sizes.broken_by("0 vCPU")
def _(t):
    del t.properties("SenderTask")["Cpu"]


def drain_seconds():
    found = re.search(r"drain: s\((\d+) \* SECOND\)", (ROOT / "engine/core/src/timing.rs").read_text())
    return int(found[1])


@rule
def a_task_has_time_to_drain(t):
    in_services = {s["Properties"]["TaskDefinition"]["Ref"] for _, s in t.of(SERVICE)}
    for name, task in t.of(TASK):
        for container in task["Properties"]["ContainerDefinitions"]:
            seconds = container.get("StopTimeout", 30)  # ECS's default
            # 120 s is the most that Fargate waits.
            if name in in_services and not drain_seconds() + 10 <= seconds <= 120:
                yield f"{name}: killed after {seconds} s, and the drain takes {drain_seconds()}"


@a_task_has_time_to_drain.broken_by("killed after 30 s")
def _(t):
    del t.properties("SenderTask")["ContainerDefinitions"][0]["StopTimeout"]


@a_task_has_time_to_drain.broken_by("killed after 180 s")
def _(t):
    t.properties("SenderTask")["ContainerDefinitions"][0]["StopTimeout"] = 180


@rule
def services_roll(t):
    for name, service in t.of(SERVICE):
        deployment = service["Properties"].get("DeploymentConfiguration", {})
        if (deployment.get("MinimumHealthyPercent"), deployment.get("MaximumPercent")) != (100, 200):
            yield f"{name}: does not start the new tasks before it ends the old ones"
        if deployment.get("DeploymentCircuitBreaker") != {"Enable": True, "Rollback": True}:
            yield f"{name}: a version that does not start is not taken back"
        network = service["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]
        if network.get("AssignPublicIp") != "DISABLED":
            yield f"{name}: has a public address"
        if "IsRunning" not in str(service["Properties"].get("DesiredCount")):
            yield f"{name}: starts before the database has its logins"


@services_roll.broken_by("before it ends the old")
def _(t):
    t.properties("SenderService")["DeploymentConfiguration"]["MinimumHealthyPercent"] = 0


@services_roll.broken_by("is not taken back")
def _(t):
    del t.properties("SenderService")["DeploymentConfiguration"]["DeploymentCircuitBreaker"]


@services_roll.broken_by("public address")
def _(t):
    t.properties("SenderService")["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] = "ENABLED"


@services_roll.broken_by("before the database")
def _(t):
    t.properties("SenderService")["DesiredCount"] = 2


@rule
def each_role_of_the_program_is_a_service(t):
    """`up --roles X` under the rights of X: what a role may not do, its process cannot do."""
    found = {}
    for name, service in t.of(SERVICE):
        task = t.properties(service["Properties"]["TaskDefinition"]["Ref"])
        command = task["ContainerDefinitions"][0].get("Command")
        role = t.resources[task["TaskRoleArn"]["Fn::GetAtt"][0]]
        found[(command or [None])[-1]] = role["Metadata"]["OutportRole"]
    for word in ("dispatcher", "transformer", "sender", "maintainer"):
        if found.get(word) != word:
            yield f"{word}: runs with the rights of {found.get(word)}"


@each_role_of_the_program_is_a_service.broken_by("transformer: runs with the rights of sender")
def _(t):
    t.properties("TransformerTask")["TaskRoleArn"] = {"Fn::GetAtt": ["SenderRole", "Arn"]}


class _Healthz(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802 (the name is the library's)
        self.send_response(self.server.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


def asked(command, status):
    """Whether the health check is content with a server that answers /healthz with `status`; None: no server at all."""
    with http.server.HTTPServer(("127.0.0.1", 0), _Healthz) as server:
        server.status = status
        port = server.server_address[1]
        if status is not None:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        else:
            server.server_close()
        here = [word.replace("/127.0.0.1/9464", f"/127.0.0.1/{port}") for word in command[1:]]
        done = subprocess.run(here, capture_output=True, timeout=20, check=False)
        if status is not None:
            server.shutdown()
        return done.returncode == 0


@rule
def the_health_check_believes_healthz(t):
    listen = tomllib.loads((ROOT / "engine/outport/src/config/default.toml").read_text())["health"]["listen"]
    host, port = listen.rsplit(":", 1)
    # The same words are asked once.
    commands = {}
    for name, service in t.of(SERVICE):
        task = service["Properties"]["TaskDefinition"]["Ref"]
        check = t.properties(task)["ContainerDefinitions"][0].get("HealthCheck", {}).get("Command", [])
        commands.setdefault(tuple(as_list(check)), []).append(task)
    for command, tasks in commands.items():
        names = ", ".join(tasks)
        if not command or command[0] != "CMD" or f"/{host}/{port}" not in " ".join(command):
            yield f"{names}: no health check of {listen}"
            continue
        for status, expected in ((200, True), (503, False), (None, False)):
            if asked(list(command), status) != expected:
                yield f"{names}: the health check takes the answer {status} for {'un' if expected else ''}healthy"


@the_health_check_believes_healthz.broken_by("no health check")
def _(t):
    del t.properties("SenderTask")["ContainerDefinitions"][0]["HealthCheck"]


@the_health_check_believes_healthz.broken_by("answer 503 for healthy")
def _(t):
    command = t.properties("SenderTask")["ContainerDefinitions"][0]["HealthCheck"]["Command"]
    command[-1] = command[-1].replace('[ "$status" = 200 ]', "true")


@the_health_check_believes_healthz.broken_by("answer 200 for unhealthy")
def _(t):
    command = t.properties("SenderTask")["ContainerDefinitions"][0]["HealthCheck"]["Command"]
    command[-1] = command[-1].replace("/healthz", "/health")
