"""The published star: its schema, its versions, the engines that read it and what its numbers mean."""
