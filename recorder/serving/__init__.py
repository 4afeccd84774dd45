"""The replay server: recordings answer clients in any language, over HTTP/1.1 on loopback.

What clients send is read by h11. What they get is the recorded wire, read by read: no framework can send the failures
of a server, so nothing stands between the tape and the socket. docs/design.md has the reasons.
"""
