"""One compose project: started, broken, asked, removed."""

import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

DOCKER = Path(__file__).resolve().parent.parent
PORTS = {
    "POSTGRES_PORT": 5432,
    "KAFKA_PORT": 29092,
    "RELAY_PORT": 9464,
    "POST_PORT": 8081,
    "SUBSCRIBER_PORT": 8082,
    "RECEIVER_PORT": 8083,
    "COUPON_PORT": 8084,
}
# Until the stack is healthy; the first build compiles the program.
UP_SECONDS = 300
BUILD_SECONDS = 3600
STEP_SECONDS = 120

BEGAN = time.monotonic()


class Failed(Exception):
    """Something that was promised did not happen."""


def say(text: str) -> None:
    print(f"[{time.monotonic() - BEGAN:6.1f}s] {text}", flush=True)


def engine_answers() -> bool:
    commands = (["docker", "info"], ["docker", "compose", "version"])
    try:
        return all(subprocess.run(command, capture_output=True, timeout=30).returncode == 0 for command in commands)
    except (OSError, subprocess.TimeoutExpired):
        return False


def until(what: str, holds, seconds: float = STEP_SECONDS) -> float:
    """Asks until it holds; how long that took."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise Failed(f"waited {seconds:.0f} s for: {what}")
        time.sleep(0.2)
    return time.monotonic() - began


def request(method: str, url: str, body=None, seconds: float = 10):
    """Status and JSON of the answer; a status of 0 is no answer."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, method=method, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=seconds) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    except (OSError, urllib.error.URLError):
        return 0, None
    try:
        return status, json.loads(text)
    except ValueError:
        return status, None


class Stack:
    """A stack with a project, ports, secrets and a network of its own. Use it with `with`."""

    def __enter__(self):
        self.project = f"cdc-relay-test-{os.getpid()}"
        self.ports = {name: free_port() for name in PORTS}
        self.secrets = Path(tempfile.mkdtemp(prefix="cdc-relay-secrets-"))
        subprocess.run([DOCKER / "make-secrets", self.secrets], check=True)
        # What the caller has set is for another stack.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
        environment |= {name: str(port) for name, port in self.ports.items()}
        environment["SECRETS"] = str(self.secrets)
        environment["RECEIVERS_SUBNET"] = f"172.31.{random.randrange(200, 250)}.0/24"
        self.environment = environment
        self.kept = False
        return self

    def __exit__(self, *_):
        if not self.kept:
            shutil.rmtree(self.secrets)

    def keep(self) -> None:
        self.kept = True
        say(f"left running: project {self.project}, " + ", ".join(f"{n}={p}" for n, p in self.ports.items()))

    def url(self, port: str, path: str = "") -> str:
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def up(self, build: bool) -> None:
        began = time.monotonic()
        if build:
            say("building the images")
            self.compose("build", "--quiet", seconds=BUILD_SECONDS)
            say(f"built in {time.monotonic() - began:.0f} s")
            began = time.monotonic()
        self.compose("up", "--detach", "--wait", "--no-build", "--wait-timeout", str(UP_SECONDS), seconds=UP_SECONDS + 60)
        say(f"up and healthy in {time.monotonic() - began:.0f} s")

    def down(self, volumes: bool) -> list[str]:
        """Stops and removes the stack; what is left of its containers, volumes and networks."""
        began = time.monotonic()
        self.compose("down", "--remove-orphans", *(["--volumes"] if volumes else []), seconds=UP_SECONDS)
        say(f"down{' with its volumes' if volumes else ''} in {time.monotonic() - began:.0f} s")
        label = f"label=com.docker.compose.project={self.project}"
        kinds = (["ps", "--all"], ["volume", "ls"], ["network", "ls"])
        left = (self.docker(*kind, "--quiet", "--filter", label) for kind in kinds)
        return [line for lines in left for line in lines.splitlines()]

    def compose(self, *arguments: str, seconds: float = STEP_SECONDS) -> str:
        files = ["--project-name", self.project, "--file", str(DOCKER / "compose.yaml"), "--progress", "quiet", "--ansi", "never"]
        return self.run("docker", "compose", *files, *arguments, seconds=seconds)

    def docker(self, *arguments: str) -> str:
        return self.run("docker", *arguments, seconds=STEP_SECONDS)

    def run(self, *command: str, seconds: float) -> str:
        try:
            done = subprocess.run(
                command, env=self.environment, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired as late:
            raise Failed(f"{' '.join(command)}: not done in {seconds:.0f} s") from late
        if done.returncode != 0:
            raise Failed(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")
        return done.stdout.strip()

    def container(self, service: str) -> str:
        return f"{self.project}-{service}-1"

    def network(self) -> str:
        return f"{self.project}_default"

    def until_healthy(self, service: str) -> None:
        look = ("inspect", "--format", "{{.State.Health.Status}}", self.container(service))
        until(f"{service} is healthy", lambda: self.docker(*look) == "healthy")

    def sql(self, statement: str) -> str:
        psql = ["exec", "-T", "postgres", "psql", "-U", "postgres", "-d", "shop", "-AtX", "-c", statement]
        return self.compose(*psql)

    def show_logs(self) -> None:
        """What our own programs said last; Kafka says much about everything."""
        others = ("postgres", "kafka", "redis")
        try:
            print(self.compose("ps", "--all", "--format", "table {{.Service}}\t{{.Status}}"))
            services = [name for name in self.compose("config", "--services").split() if name not in others]
            for line in self.compose("logs", "--no-color", "--tail", "20", *sorted(services)).splitlines():
                print(line[:300])
        except Failed as failure:
            print(failure)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
