"""The utilization page: how scanners and their staffed hours are used."""
