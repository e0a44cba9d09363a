"""Describes the machine of a measurement: hardware, and the versions of servers and packages."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from triptych.devstack.jars import KAFKA_VERSION
from triptych.devstack.stack import Addresses, Provider
from triptych.kit.mongo.driver import open_database

PACKAGES = ("triptych", "aiokafka", "cramjam", "faststream", "orjson", "pydantic", "pymongo", "uvloop")


def describe_machine() -> dict[str, str | int]:
    """The processor, the cores that this process may use, memory, system and Python."""
    return {
        "cpu": _value_of("model name", Path("/proc/cpuinfo")) or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memoryMiB": int((_value_of("MemTotal", Path("/proc/meminfo")) or "0 kB").split()[0]) // 1024,
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def package_versions() -> dict[str, str]:
    """The installed versions of the packages that the figures depend on."""
    return {name: version(name) for name in PACKAGES}


async def server_versions(addresses: Addresses) -> dict[str, str]:
    """The versions of Kafka and MongoDB, and their provider."""
    async with open_database(addresses.mongo_uri, "admin") as database:
        build = await database.command("buildInfo")
    return {"provider": addresses.provider, "kafka": _kafka_version(addresses), "mongodb": build["version"]}


def _kafka_version(addresses: Addresses) -> str:
    match addresses.provider:
        case Provider.PROCESSES:
            return KAFKA_VERSION
        case Provider.CONTAINERS:
            from triptych.devstack.containers import KAFKA_IMAGE

            return KAFKA_IMAGE
        case _:
            return "unknown"  # brokers report their features, not their version


def _value_of(name: str, path: Path) -> str | None:
    for line in path.read_text().splitlines():
        label, _, value = line.partition(":")
        if label.strip() == name:
            return value.strip()
    return None
