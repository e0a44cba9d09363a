"""How all settings are read: from environment variables with one prefix, described by the docstrings of the fields."""

from typing import Any

from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "TRIPTYCH_"


class SettingsBase(BaseSettings):
    """The base of every class of settings. The field `x` is read from the variable `TRIPTYCH_X`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, defer_build=True)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Given values come first, then the environment. There is neither a file `.env` nor a folder of secrets."""
        return init_settings, _Environment(settings_cls)


class _Environment(EnvSettingsSource):
    """Reads the variables that are set. Its base looks at the type of every field, for 5 ms."""

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields
        present = {name for name in fields if self._apply_case_sensitive(f"{self.env_prefix}{name}") in self.env_vars}
        found = {}
        for name in present:
            value, key, is_complex = self.get_field_value(fields[name], name)
            found[key] = self.prepare_field_value(name, fields[name], value, is_complex)
        return found
