"""What is done to the containers."""

import time
from dataclasses import dataclass
from typing import Callable

from .stack import Stack

KILLED_SECONDS = 3
# More than Kafka's broker.session.timeout.ms, 9 s. A single broker that stalls for so long is fenced by its own controller
# and then names no broker at all for a moment; clients of librdkafka 2.12 that believe it have to be replaced (its issue 5301).
PAUSED_SECONDS = 15
CUT_OFF_SECONDS = 30


@dataclass(frozen=True)
class Fault:
    name: str
    service: str
    how: Callable
    # The rush for coupons happens while it lasts.
    with_rush: bool = False

    def inflict(self, stack: Stack, meanwhile: Callable[[], None]) -> None:
        self.how(stack, self.service, meanwhile)


def kill(stack: Stack, service: str, meanwhile: Callable[[], None]) -> None:
    stack.docker("kill", "--signal", "KILL", stack.container(service))
    meanwhile()
    time.sleep(KILLED_SECONDS)
    stack.docker("start", stack.container(service))
    stack.until_healthy(service)


def pause(stack: Stack, service: str, meanwhile: Callable[[], None]) -> None:
    stack.docker("pause", stack.container(service))
    meanwhile()
    time.sleep(PAUSED_SECONDS)
    stack.docker("unpause", stack.container(service))


def cut_off(stack: Stack, service: str, meanwhile: Callable[[], None]) -> None:
    """As when a cable is pulled: connections are not closed, they fall silent."""
    stack.docker("network", "disconnect", stack.network(), stack.container(service))
    meanwhile()
    time.sleep(CUT_OFF_SECONDS)
    stack.docker("network", "connect", "--alias", service, stack.network(), stack.container(service))


FAULTS = [
    Fault("relay killed", "relay", kill),
    Fault("kafka killed", "kafka", kill, with_rush=True),
    Fault("postgres killed", "postgres", kill),
    Fault("notifier killed", "notifier", kill),
    Fault("relay paused", "relay", pause),
    Fault("kafka paused", "kafka", pause),
    Fault("postgres paused", "postgres", pause),
    Fault("relay cut off", "relay", cut_off),
    Fault("kafka cut off", "kafka", cut_off),
]
