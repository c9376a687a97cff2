"""What-if: levers on cost, each recomputed on every logged request or hour of a month, alone and together."""
