"""Finds the effective settings of an installation, where each comes from, and a form of each without secrets."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum, StrEnum
from typing import Any, NamedTuple

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_settings import BaseSettings

from triptych.kit.process.settings import PREFIX

MASK = "**********"
_FILE = "_FILE"
_USER_IN_ADDRESS = re.compile(r"(?<=//)[^/@\s]*@")
_SECRET_OPTION = re.compile(r"([?&;][^=&]*(?:password|passwd|secret|token|properties)[^=&]*=)[^&]*", re.IGNORECASE)


class Source(StrEnum):
    """Where a setting comes from."""

    DEFAULT = "default"
    ENVIRONMENT = "environment"
    FILE = "file"
    """A file that an environment variable names."""
    RUNNING_STACK = "running stack"
    """The stack that `triptych up` runs in this folder."""


class EffectiveSetting(NamedTuple):
    """A setting; `value` shows no secret, and is None if it is unset."""

    variable: str
    value: str | None
    source: Source


def effective_settings(
    settings: BaseSettings, stack: Mapping[str, object], environ: Mapping[str, str] = os.environ
) -> list[EffectiveSetting]:
    """All settings in the order of the reference page; `stack` has those that the running stack gave, by name."""
    # The environment is read without regard to upper and lower case.
    given = {name.upper() for name in environ}
    return [
        EffectiveSetting(f"{PREFIX}{name.upper()}", shown(getattr(settings, name)), _source(name, stack, given))
        for name in type(settings).model_fields
    ]


def _source(name: str, stack: Mapping[str, object], given: set[str]) -> Source:
    variable = f"{PREFIX}{name.upper()}"
    if variable in given:
        return Source.ENVIRONMENT
    if f"{variable}{_FILE}" in given:
        return Source.FILE
    return Source.RUNNING_STACK if name in stack else Source.DEFAULT


def shown(value: Any) -> str | None:
    """The value as text without secrets; None for an unset one."""
    match value:
        case None | "" | ():
            return None
        case SecretStr() | SecretBytes():
            return MASK if value.get_secret_value() else None
        case bool():
            return str(value).lower()
        case timedelta():
            return f"{value.total_seconds():g} s"
        case Enum():
            return str(value.value)
        case tuple() | list() | set() | frozenset():
            return ", ".join(shown(member) or "" for member in value)
        case BaseModel():
            return MASK
        case _:
            return without_secrets(str(value))


def without_secrets(text: str) -> str:
    """An address without user, password and secret options; any other text as it is."""
    return _SECRET_OPTION.sub(rf"\g<1>{MASK}", _USER_IN_ADDRESS.sub(f"{MASK}@", text))
