"""The settings of a process, by what they are about; all of them together are `Settings`."""

from service.settings.settings import Settings

__all__ = ["Settings"]
