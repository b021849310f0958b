"""Splunk's HTTP Event Collector as an output: requests, urllib3 and ssl are imported only where one is configured."""
