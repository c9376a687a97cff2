"""Forecasts of the company's own cost: read from the published warehouse, issued daily, scored when days are over."""
