"""The turnaround page: how long patients, referrers and reports wait."""
