"""One log entry in, an event's fields out: JSON, human (Lark) and stackdriver."""
