"""Forecasts of the company's own cost: from the published warehouse, issued once a day, and scored when days are over."""

from farthing.forecasting.issue import Issued, issue
from farthing.forecasting.predict import Landing, Prediction, predict

__all__ = ["Issued", "Landing", "Prediction", "issue", "predict"]
