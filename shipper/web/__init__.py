"""The web: what the daemon tells Prometheus and whoever watches its health, over HTTP; it takes nothing in."""
