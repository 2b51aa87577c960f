"""From measures to findings: process behaviour and what changed, the same for pages, mail and the command line."""
