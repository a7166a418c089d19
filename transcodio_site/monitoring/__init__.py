"""What operators see of a running installation: health, metrics, traces and error reports."""
