"""Listening: the address in words, and its end, at which a client that connects at the last moment is not reset."""

import ctypes
import socket
import struct
from asyncio.trsock import TransportSocket
from collections.abc import Iterable
from contextlib import suppress

SO_ATTACH_FILTER = 26  # Linux; the socket module does not name it
FLAGS_BYTE, SYN = 13, 0x02
BPF_LOAD_BYTE, BPF_AND, BPF_JUMP_IF_EQUAL, BPF_RETURN = 0x30, 0x54, 0x15, 0x06
EVERYTHING = 0xFFFF_FFFF
ONLY_ESTABLISHED = (
    (BPF_LOAD_BYTE, 0, 0, FLAGS_BYTE),
    (BPF_AND, 0, 0, SYN),
    (BPF_JUMP_IF_EQUAL, 0, 1, SYN),
    (BPF_RETURN, 0, 0, 0),
    (BPF_RETURN, 0, 0, EVERYTHING),
)
"""A filter of the kernel: a packet that asks for a new connection (SYN) is dropped, any other is let through."""


def address_of(listener: socket.socket | TransportSocket) -> str:
    """The address as a client writes it: `http://127.0.0.1:3001`, `http://[::1]:3001`, `unix:/run/retrobus.sock`."""
    place = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{place}"
    host, port = place[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


def refuse_new(listeners: Iterable[socket.socket]) -> None:
    """Lets no new connection begin at these sockets; the service still accepts those in the kernel's queue.

    Closing a listening socket resets every connection in its queue, though its client takes it for established and may
    have sent its request. After this call the queue only empties. A client that comes now repeats its packet a second
    later, and meets the service that was started in between, or a refusal. Where the kernel has no such filter, a
    client that comes at the moment of closing may be reset, as without it.
    """
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in ONLY_ESTABLISHED))
    program = struct.pack("HL", len(ONLY_ESTABLISHED), ctypes.addressof(code))
    for listener in listeners:
        with suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
