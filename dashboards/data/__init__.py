"""The data page: how fresh each source is, what loads brought, what was rejected and why, what each number means."""
