"""Every setting as a value. Nothing above this package reads the environment."""

from kirotrio.config.folders import Folders, platform_folders
from kirotrio.config.loading import LoadedSettings, load_settings
from kirotrio.config.settings import Settings

__all__ = ["Folders", "LoadedSettings", "Settings", "load_settings", "platform_folders"]
