"""Time series cut into windows: what was seen, and what comes next."""

from polytask.data.time_windows.cut import Windows, cut
from polytask.data.time_windows.settings import WindowSettings
from polytask.data.time_windows.tables import SPLIT, windows

__all__ = ["SPLIT", "WindowSettings", "Windows", "cut", "windows"]
