"""What people enter and what keeps them safe: accounts, roles, sessions, audit, vault, quarantine, and the key."""
