"""The service: the threads of the daemon, its lock, its status and its own log."""
