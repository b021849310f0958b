"""Splunk's HTTP Event Collector as an output: what speaks HTTP, and TLS, is imported only where one is configured."""
