"""The shipped models: fitted, measured and written about (`catts embedded`)."""
