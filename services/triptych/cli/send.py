"""`triptych send`: sends one command from the shell, and returns the reply."""

import uuid
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from triptych.cli.requests import NoReply, open_requests
from triptych.contract.codec.cloudevents import ID_MAX
from triptych.contract.codec.envelope import CommandEnvelope
from triptych.contract.codec.exact import validate_exactly
from triptych.contract.commands import COMMANDS
from triptych.contract.violations import violations_of
from triptych.kit.failures import RecordTooLarge, StartRefused
from triptych.kit.process.settings import KitSettings

REPLY_TIMEOUT_SECONDS = 15.0


def read_command(name: str, data: str, site_id: str, command_id: str | None) -> CommandEnvelope:
    """The envelope of a typed command.

    Raises:
        StartRefused: no command has this name, or the data does not match the command.
    """
    kind = COMMANDS.get(name)
    if kind is None:
        raise StartRefused(f"There is no command {name}. There are: {', '.join(COMMANDS)}")
    try:
        parsed = validate_exactly(kind, data.encode(errors="surrogateescape"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            raise StartRefused(f"The data of {name} is not JSON: {first['ctx']['error']}") from None
        problems = "\n".join(
            f"  {violation.field or 'data'}: {violation.description}" for violation in violations_of(error)
        )
        raise StartRefused(f"This is not the data of {name}:\n{problems}") from None
    command_id = str(uuid.uuid4()) if command_id is None else _check_id(command_id)
    return CommandEnvelope(
        command_id=command_id,
        site_id=site_id,
        name=name,
        data=parsed,
        reply_to=None,
        correlation_id=command_id,
        traceparent=None,
        source="triptych/cli",
    )


def _check_id(command_id: str) -> str:
    if not 1 <= len(command_id) <= ID_MAX:
        raise StartRefused(f"The id of a command has 1 to {ID_MAX} characters; leave --id out for a random one.")
    return command_id


async def send(settings: KitSettings, envelope: CommandEnvelope) -> Mapping[str, Any]:
    """Publish a command and wait for its reply; the reply as a JSON object.

    Raises:
        StartRefused: Kafka does not answer or has no topics, the command is too large for Kafka, or no reply came in
            time.
    """
    try:
        async with open_requests(settings, REPLY_TIMEOUT_SECONDS) as requests:
            return await requests.ask(envelope)
    except RecordTooLarge as error:
        raise StartRefused(f"The command was not sent: {error}.") from None
    except NoReply as error:
        raise StartRefused(
            f"{error} The command is on the topic and will be carried out; ask again with --id {envelope.command_id}"
        ) from None
