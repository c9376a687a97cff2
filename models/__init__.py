"""The mathematics on the marts: forecast, anomaly, pricing and what-if; it reads the published warehouse only."""
