"""A Splunk HTTP Event Collector of the project's own: real sockets, Splunk's answers code by code, faults by script.

    with HecServer(Token(use_ack=True), ack=AckRules(false_polls=2)) as server:
        ...                          # endpoint server.url, token TOKEN (tests.hec.token)
        server.script.add(fault.code(9, retry_after="1"), times=2)      # the next two to /event
        server.script.add(fault.reset_after(take=True))                 # then one is indexed, and its answer lost
        assert server.wait_events(10)
        assert server.store.counts() == {"…event id…": 1}

What a test uses:

- ``server.HecServer(*tokens, …)``: ``url``, ``port``, ``start``/``stop`` or ``with``; ``down``/``up`` (refused, same
  port again); ``restart(lose_unacknowledged=…)``; ``wait(condition, seconds)``, ``wait_events(count)``; ``events``
  (``store.Indexed``), ``seen`` (``seen.Seen``: every request with service, status, code, channel, connection,
  bytes), ``connections``, ``handshake_failures``, ``set_ack(rules)``.
  Options: ``tls`` (a context of ``certificate.Authority(folder).server()``), ``ack``, ``sizes``, ``indexes`` (those that
  exist), ``cloud``, ``cookie`` + ``nodes`` (sticky sessions of a balancer), ``keepalive_requests`` (+
  ``keepalive_silent``), ``recording`` (NDJSON file, read by ``store.read_recording``), ``bodies`` (a folder for the
  unpacked bodies), ``count_only`` (fast, for benches; with ``later`` not before ``count_kept()``), ``clock`` (for acks).
- ``server.tokens``: ``put``/``drop`` of ``token.Token`` (value, disabled, index, indexes, use_ack, allow_query, …).
- ``server.collector``: what the rules know, to be changed while it runs: ``indexes`` (a set or None), ``queue``
  (``Queue.FREE/NEAR/FULL``), ``full_code`` (26 or 9), ``ack_service``, ``shutting_down``, ``retry_after``, ``sizes``,
  ``poison`` (event id: code that refuses it), ``numbering`` (what becomes of ``invalid-event-number``).
- ``server.script``: ``add(fault, times=1, to="event"|"ack"|"health"|"raw"|"")``, ``always(fault, to=…)``,
  ``rule(function of the request)``, ``clear()``, ``len()`` (faults to come). Faults: ``fault.code``, ``status``, ``html``,
  ``reset_before``, ``reset_after``, ``reset_in_answer``, ``slow_reading``, ``slow_answer``, ``hang``, ``closing``, or any
  ``fault.Fault``. ``take=True`` indexes first.
- ``server.store``: ``len``, ``events``, ``counts()`` per event id, ``duplicates()``, ``drain()``.

- ``proxy.Proxy(credential="user:password")``: an HTTP proxy (plain and CONNECT), ``url``, ``passed``, ``refused``.

By hand: ``python -m tests.hec --port 8088 --ack``.
"""
