"""A relay that kills itself with SIGKILL just before or after a step of its work, named by `DIE_AT` (`plan:after`)."""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from triptych.kit.startup.lifecycle import run_service
from triptych.webhooks.app import compose
from triptych.webhooks.settings import WebhookSettings
from triptych.webhooks.store.deliveries import DeliveryRepository


def deadly(step: Callable[..., Awaitable[Any]], when: str) -> Callable[..., Awaitable[Any]]:
    """The same step, but the process is killed before or after it if there was anything to do."""

    async def die(*args: Any, **kwargs: Any) -> Any:
        has_work = bool(args[-1] if when == "before" else True)
        if when == "before" and has_work:
            os.kill(os.getpid(), signal.SIGKILL)
        done = await step(*args, **kwargs)
        if when == "after" and done != set() and done != []:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    return die


if __name__ == "__main__":
    name, _, when = os.environ["DIE_AT"].partition(":")
    setattr(DeliveryRepository, name, deadly(getattr(DeliveryRepository, name), when))
    sys.exit(run_service("webhooks", WebhookSettings, compose, lambda settings: settings.webhooks_port))
