"""The HTTP libraries: recording and replay at the socket, without patching anything."""
