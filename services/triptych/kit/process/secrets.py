"""Says which settings hold secrets, and reads secrets from files: `TRIPTYCH_X_FILE` names the file of `TRIPTYCH_X`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

SUFFIX = "_FILE"
SIZE_MAX = 64 * 1024
"""Bytes of a file that holds a secret. A longer file is another file than the one that was meant."""


@dataclass(frozen=True, slots=True)
class HoldsSecret:
    """Marks, in the metadata of a field, a text that may hold a secret, such as an address with a password."""


def is_secret(field: FieldInfo) -> bool:
    """Whether the value of a setting must not be shown, and may be read from a file."""
    kinds = (field.annotation, *get_args(field.annotation))
    return SecretStr in kinds or any(isinstance(marker, HoldsSecret) for marker in field.metadata)


def secret_fields(kind: type[BaseModel]) -> list[str]:
    """The names of the fields of a class of settings that hold secrets."""
    return [name for name, field in kind.model_fields.items() if is_secret(field)]


def text_of_secret(secret: SecretStr | None) -> str | None:
    """The secret itself, for a library that needs it."""
    return None if secret is None else secret.get_secret_value()


def read_secret_files(
    kind: type[BaseModel], prefix: str, environ: Mapping[str, str] = os.environ
) -> tuple[dict[str, str], list[str]]:
    """The secrets that the environment names by file, by field; and a sentence for each one that cannot be used.

    The sentences name variables and files, and never contain a secret.
    """
    found: dict[str, str] = {}
    problems: list[str] = []
    # Variables are found in any case, as pydantic-settings finds them; one that is empty counts as absent.
    given = {name.upper(): value for name, value in environ.items() if value}
    for field in secret_fields(kind):
        variable = f"{prefix}{field.upper()}"
        path = given.get(variable + SUFFIX)
        if path is None:
            continue
        if variable in given:
            problems.append(f"{variable} and {variable}{SUFFIX} are both set: remove one of them.")
            continue
        try:
            found[field] = read_secret(Path(path))
        except ValueError as problem:
            problems.append(f"{variable}{SUFFIX}: {path} {problem}.")
    return found, problems


def read_secret(path: Path) -> str:
    """The text in a file, without the line ends that follow it.

    Raises:
        ValueError: says, as the predicate of a sentence, why there is no usable text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_MAX + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(content) > SIZE_MAX:
        raise ValueError(f"is larger than {SIZE_MAX // 1024} KiB")
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("is not text in UTF-8") from None
    if not text.strip():
        raise ValueError("is empty")
    if len(text.splitlines()) > 1:
        raise ValueError("has more than one line")
    return text
