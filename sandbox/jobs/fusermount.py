# SPDX-License-Identifier: Apache-2.0
"""Stands in for fusermount3: mounts a directory and sends the open /dev/fuse to the caller.

`fusermount3 [-o OPTIONS] -- DIR` mounts, `-u DIR` unmounts. rclone starts it inside a job, where
the process is root of its user namespace and mount(2) is allowed; the real fusermount3 is often not
installed and does not work there. _FUSE_COMMFD is the number of the socket to the caller.
"""

import array
import ctypes
import os
import socket
import sys

MS_NOSUID, MS_NODEV, MS_BIND = 0x2, 0x4, 0x1000
MNT_DETACH = 0x2
PASSED_ON = ("allow_other", "default_permissions", "max_read", "blksize")


def parse_options(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {name: value for name, _, value in pairs}


def format_kernel_data(descriptor: int, options: dict[str, str]) -> str:
    data = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0"
    for name in PASSED_ON:
        if name in options:
            data += f",{name}={options[name]}" if options[name] else f",{name}"
    return data


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(directory: str, options: dict[str, str]) -> int:
    """Mount the directory, and return the file descriptor of /dev/fuse."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open("/dev/fuse", os.O_RDWR)
    kind = "fuse." + options["subtype"] if options.get("subtype") else "fuse"
    source = options.get("fsname", "fuse")
    data = format_kernel_data(descriptor, options)
    arguments = [os.fsencode(text) for text in (source, directory, kind)]
    result = libc.mount(*arguments, ctypes.c_ulong(MS_NOSUID | MS_NODEV), data.encode())
    _check(result, f"mount {directory}")
    return descriptor


def bind(directory: str) -> None:
    """Make a folder a mount point of its own, so that /proc/mounts lists it."""
    libc = ctypes.CDLL(None, use_errno=True)
    path = os.fsencode(directory)
    _check(libc.mount(path, path, None, ctypes.c_ulong(MS_BIND), None), f"bind {directory}")


def unmount(directory: str, *, lazy: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.umount2(os.fsencode(directory), MNT_DETACH if lazy else 0), f"umount {directory}")


def send(descriptor: int, channel: int) -> None:
    with socket.socket(fileno=os.dup(channel)) as sock:
        rights = array.array("i", [descriptor])
        sock.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def drop_locale() -> None:
    """Python sets LC_CTYPE if there is no locale; programs of a job must not see that."""
    with open("/proc/self/environ", "rb") as given:
        if b"LC_CTYPE=" not in given.read():
            os.environ.pop("LC_CTYPE", None)


def main(argv: list[str]) -> int:
    words, options = [], {}
    rest = iter(argv)
    for word in rest:
        if word == "-o":
            options.update(parse_options(next(rest, "")))
        elif word != "--":
            words.append(word)
    directory = words[-1]
    try:
        if "-u" in words:
            unmount(directory, lazy="-z" in words)
        else:
            send(mount(directory, options), int(os.environ["_FUSE_COMMFD"]))
    except OSError as error:
        print(f"fusermount: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
