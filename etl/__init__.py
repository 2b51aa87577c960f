"""From outside bytes to the published star."""
