"""farthing: what one request costs, tied to the invoice."""

__version__ = "0.1.0"
