"""Forecasts of daily series: points, intervals that hold on days and on sums, and paths that add up."""

from models.forecast.errors import Errors, ErrorStore
from models.forecast.events import KnownEvent
from models.forecast.issue import Forecast, forecast
from models.forecast.points import MODELS

__all__ = ["MODELS", "ErrorStore", "Errors", "Forecast", "KnownEvent", "forecast"]
