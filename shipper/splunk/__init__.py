"""Splunk beside the delivery: the add-on, the set-up over the management API, and the check of what has arrived.

The delivery itself is ``shipper.outputs``. ``splunklib`` is imported by ``management`` alone.
"""
