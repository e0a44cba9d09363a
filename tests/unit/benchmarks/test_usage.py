"""Processor time is related to the work, and the load is kept apart."""

import os
import time

import pytest

from benchmarks.servers import Servers
from benchmarks.usage import Meter, Usage, per_thousand


def test_the_total_has_services_and_servers_and_no_load() -> None:
    begun, now = Usage(1.0, 10.0, 2.0, 3.0), Usage(2.0, 17.0, 2.5, 5.0)
    assert per_thousand(begun, now, 500) == pytest.approx(
        {
            "services_cpu_s_per_1000": 2.0,
            "broker_cpu_s_per_1000": 1.0,
            "mongod_cpu_s_per_1000": 4.0,
            "total_cpu_s_per_1000": 7.0,
            "load_cpu_s_per_1000": 14.0,
        }
    )


def test_without_servers_on_this_machine_there_is_no_total() -> None:
    assert per_thousand(Usage(1.0, 1.0), Usage(2.0, 3.0), 1_000) == {
        "services_cpu_s_per_1000": 1.0,
        "load_cpu_s_per_1000": 2.0,
    }


def test_services_that_have_ended_count_too() -> None:
    assert per_thousand(Usage(0.0, 0.0), Usage(0.0, 0.0), 1_000, ended=3.0)["services_cpu_s_per_1000"] == 3.0


def test_this_process_is_load() -> None:
    meter = Meter(Servers(os.getpid(), os.getpid()), services=[])
    begun, until = meter.read(), time.process_time() + 0.05
    while time.process_time() < until:
        pass
    figures = meter.since(begun, 1_000)
    assert figures["load_cpu_s_per_1000"] >= 0.03
    assert figures["services_cpu_s_per_1000"] == 0


def test_the_time_of_a_database_is_that_of_all_its_processes() -> None:
    one = Meter(Servers(os.getpid(), os.getpid()), services=[]).read().mongod
    three = Meter(Servers(os.getpid(), os.getpid(), (os.getpid(), os.getpid())), services=[]).read().mongod
    assert one is not None
    assert three is not None
    assert three > 2.5 * one
