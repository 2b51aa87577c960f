"""What doses are held against: reference levels with their sources, and the rules that raise alerts."""
