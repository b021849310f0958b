"""Physical lines to whole log entries: transport wrappers taken off, many-line entries joined."""
