"""The requests that create or change a listener, with their rules."""

from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from triptych.contract.base import Guid, Patch, ViolatedRule, WireModel, broken
from triptych.contract.codec.events import EventType
from triptych.webhooks.model.hosts import check_host, with_ascii_host
from triptych.webhooks.model.keys import Format
from triptych.webhooks.model.retries import SCHEDULES, RetryProfile

TIMEOUT_MAX_SECONDS = 30.0
"""The largest timeout of a listener. Leases last longer (see the relay's settings)."""

OVERLAP_SECONDS = 86_400
"""How long an old secret stays valid after a rotation by default. Retries are signed again, with the valid secrets."""

_TIMEOUTS = {Format.WIX_JWT: 1.25, Format.STANDARD_HMAC: 15.0, Format.STANDARD_ED25519: 15.0}
_PROFILES = {
    Format.WIX_JWT: RetryProfile.WIX,
    Format.STANDARD_HMAC: RetryProfile.STANDARD,
    Format.STANDARD_ED25519: RetryProfile.STANDARD,
}
_WEEK_SECONDS = 7 * 86_400.0
_FIXED = ("format", "ordered")


def _check_url(url: str) -> str:
    expected = "http or https address without user, password or fragment"
    try:
        url = with_ascii_host(url)
        parts = urlsplit(url)
        usable = parts.port != 0 and bool(parts.hostname)
    except ValueError as error:
        raise broken(ViolatedRule.FORMAT, f"must be an {expected} ({error})", data={"expected": expected}) from None
    if not usable or parts.scheme not in ("http", "https") or "@" in parts.netloc or parts.fragment:
        raise broken(ViolatedRule.FORMAT, f"must be an {expected}", data={"expected": expected})
    if not (url.isascii() and url.isprintable() and " " not in url):
        expected = f"{expected}, with what is not ASCII in its path and query written as %XX"
        raise broken(ViolatedRule.FORMAT, f"must be an {expected}", data={"expected": expected})
    try:
        check_host(parts.hostname or "")
    except ValueError as error:
        expected = f"address whose host can be looked up: {error}"
        raise broken(ViolatedRule.FORMAT, f"must be an {expected}", data={"expected": expected}) from None
    return url


def _check_delays(delays: list[float]) -> list[float]:
    if sum(delays) > _WEEK_SECONDS:
        raise broken(
            ViolatedRule.MAX, f"must add up to at most {_WEEK_SECONDS:.0f} seconds", data={"threshold": _WEEK_SECONDS}
        )
    return delays


Url = Annotated[str, Field(max_length=2_048), AfterValidator(_check_url)]
EventTypes = Annotated[list[EventType], Field(min_length=1, max_length=len(EventType))]
GalleryIds = Annotated[list[Guid], Field(min_length=1, max_length=1_000)]
Seconds = Annotated[float, Field(gt=0, le=_WEEK_SECONDS, allow_inf_nan=False)]
Delays = Annotated[list[Seconds], Field(max_length=30), AfterValidator(_check_delays)]
Timeout = Annotated[float, Field(ge=0.1, le=TIMEOUT_MAX_SECONDS, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0.01, le=10_000, allow_inf_nan=False)]
Description = Annotated[str, Field(max_length=1_000)]


class NewListener(WireModel):
    """A listener to create. Custom delays are given in `retryDelays`, in seconds; an empty list means no retries.

    Unknown fields are refused: without a misspelt filter, the listener would get all galleries.
    """

    model_config = ConfigDict(extra="forbid")

    url: Url
    event_types: EventTypes
    gallery_ids: GalleryIds | None = None
    format: Format = Format.STANDARD_HMAC
    retry_profile: RetryProfile | None = None
    retry_delays: Delays | None = None
    timeout_seconds: Timeout | None = None
    rate_limit: Rate | None = None
    ordered: bool = False
    description: Description = ""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        profile, delays = resolve_retries(self.retry_profile, self.retry_delays, _PROFILES[self.format])
        return self._normalise(
            retry_profile=profile,
            retry_delays=delays,
            timeout_seconds=self.timeout_seconds or _TIMEOUTS[self.format],
        )


class ListenerChange(Patch):
    """The fields to change. The format and `ordered` cannot change: open deliveries were planned for them."""

    url: Url | None = None
    event_types: EventTypes | None = None
    gallery_ids: GalleryIds | None = None
    retry_profile: RetryProfile | None = None
    retry_delays: Delays | None = None
    timeout_seconds: Timeout | None = None
    rate_limit: Rate | None = None
    description: Description | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_fixed(cls, sent: Any) -> Any:
        for name in _FIXED:
            if isinstance(sent, dict) and name in sent:
                raise broken(ViolatedRule.CUSTOM, "cannot be changed; create another listener", field=name)
        return sent

    @model_validator(mode="after")
    def _check(self) -> Self:
        # A null removes the gallery filter or the rate limit. For the other fields it means "not sent" (D7).
        self._drop_nulls("url", "event_types", "retry_profile", "retry_delays", "timeout_seconds", "description")
        if self.model_fields_set & {"retry_profile", "retry_delays"}:
            profile, delays = resolve_retries(self.retry_profile, self.retry_delays, RetryProfile.CUSTOM)
            return self._normalise(retry_profile=profile, retry_delays=delays)
        return self


def resolve_retries(
    profile: RetryProfile | None, delays: list[float] | None, default: RetryProfile
) -> tuple[RetryProfile, list[float]]:
    """The profile and its delays, where either or both may have been sent."""
    if profile is None:
        profile = default if delays is None else RetryProfile.CUSTOM
    if profile is RetryProfile.CUSTOM:
        if delays is None:
            raise broken(ViolatedRule.REQUIRED_FIELD, "is required for a custom profile", field="retryDelays")
        return profile, delays
    if delays is not None and tuple(delays) != SCHEDULES[profile]:
        raise broken(ViolatedRule.CUSTOM, "may be given only for a custom profile", field="retryDelays")
    return profile, list(SCHEDULES[profile])
