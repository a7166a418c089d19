"""The page of a long transcript in Chromium."""
