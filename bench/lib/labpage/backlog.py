"""Connections in a server's accept queue. The kernel has taken them and their requests, and the server knows of neither
until a thread is free."""

import socket
import struct

NETLINK_SOCK_DIAG = 4  # netlink(7), sock_diag(7)
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
TCP_ESTABLISHED = 1
HEADER = struct.Struct("=IHHII")  # of a message: its length, its type
ASKED = struct.Struct("=BBBxI48x")  # inet_diag_req_v2: family, protocol, states
TOLD = struct.Struct("=4x2s2s44x4xI4x4xI")  # inet_diag_msg: both ports, unread bytes, inode
SECONDS = 1.0  # to answer
BYTES = 1 << 16  # of a part of the answer, at most


def waiting(port: int) -> set[int] | None:
    """The ports of the clients whose request lies unread in the accept queue of that server of IPv4; None where the
    kernel does not tell. What has been accepted has an inode, and what has not has none."""
    asked = ASKED.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 1 << TCP_ESTABLISHED)
    head = HEADER.pack(HEADER.size + len(asked), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
    found: set[int] = set()
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(SECONDS)
            kernel.send(head + asked)
            while _take(kernel.recv(BYTES), port.to_bytes(2, "big"), found):
                pass
    except OSError:
        return None
    return found


def _take(part: bytes, port: bytes, found: set[int]) -> bool:
    """Adds what a part of the answer says; whether there is more of it."""
    at = 0
    while at < len(part):
        length, kind, *_ = HEADER.unpack_from(part, at)
        if kind == NLMSG_ERROR:
            raise OSError("sock_diag")
        if kind == NLMSG_DONE:
            return False
        here, there, unread, inode = TOLD.unpack_from(part, at + HEADER.size)
        if here == port and unread and not inode:
            found.add(int.from_bytes(there, "big"))
        at += -(-length // 4) * 4
    return True
