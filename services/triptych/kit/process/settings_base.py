"""How all settings are read: from environment variables with one prefix, described by the docstrings of the fields."""

from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "TRIPTYCH_"


class SettingsBase(BaseSettings):
    """The base of every class of settings. The field `x` is read from the variable `TRIPTYCH_X`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)
