"""Imports groups of commands only when one of their commands is used, so that help and completion appear at once."""

import importlib
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


class LazyCommand(TyperCommand):
    """A command or group that is not imported yet: its name and its help, which the list of commands shows."""

    def __init__(self, name: str, module: str, help_text: str) -> None:
        """`module` has a Typer application with the name `app`."""
        super().__init__(name, help=help_text)
        self._module = module

    def load(self) -> Any:
        """Import the group."""
        application: typer.Typer = importlib.import_module(self._module).app
        loaded = get_command(application)
        loaded.name = self.name
        return loaded


def lazy_group(members: Mapping[str, tuple[str, str]]) -> type[TyperGroup]:
    """The class of a group that has these lazy members and its own: module and help by name."""

    class LazyGroup(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            for name, (module, help_text) in members.items():
                self.add_command(LazyCommand(name, module, help_text))

        def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
            name, command, rest = super().resolve_command(ctx, args)
            return name, command.load() if isinstance(command, LazyCommand) else command, rest

    return LazyGroup


def loaded(application: typer.Typer) -> Any:
    """The group of an application with all its members imported."""
    group: Any = get_command(application)
    for name, command in list(group.commands.items()):
        if isinstance(command, LazyCommand):
            group.commands[name] = command.load()
    return group
