"""Numbers and formulas that the workers use: plain functions over plain values."""
