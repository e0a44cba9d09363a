"""Finds the scenarios: every module in `benchmarks.scenarios` declares one."""

import importlib
import pkgutil

from benchmarks import scenarios
from benchmarks.scenario import Scenario


def find_scenarios() -> dict[str, Scenario]:
    """All scenarios by name. Raises ValueError if two have the same name."""
    found: dict[str, Scenario] = {}
    for module in pkgutil.iter_modules(scenarios.__path__, f"{scenarios.__name__}."):
        scenario: Scenario = importlib.import_module(module.name).SCENARIO
        if scenario.name in found:
            raise ValueError(f"two scenarios are called {scenario.name}")
        found[scenario.name] = scenario
    return found
