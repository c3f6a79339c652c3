"""An SFTP server on paramiko, which does to a file what the file's name says.

A name may hold instructions: `a,rename=17,close=lost.csv`. Each is carried out at the first request of that kind for
a path with that name in it, or at every one with an exclamation mark behind it (`rename=17!`).

  open write close stat rename remove   the kind of request; a rename goes by its new name
  =NUMBER     answers with this status and does nothing
  =lost       does it and never answers
  =ignored    does nothing and never answers
  =cut        does it and breaks the connection off instead of answering
  =cutbefore  breaks the connection off before doing it
  =late       does it and answers a second later
  =data =handle =attrs      does it and answers with a packet of another kind
  =otherid =twice           answers a request that nobody made; answers twice
  =short =huge =zero =text  answers with what is no packet

Started with one argument, JSON: folder, host_key, user, and as wanted password, questions (true: asks for the password in
keyboard-interactive), authorized_key, window (bytes). Prints `listening PORT`, then a line for each request to log in.
"""

import base64
import errno
import json
import os
import re
import socket
import struct
import sys
import threading
import time

import paramiko
from paramiko import SFTP_BAD_MESSAGE, SFTP_FAILURE, SFTP_OK, SFTPAttributes, SFTPHandle, SFTPServer
from paramiko import sftp

LATE_S = 1.0
INSTRUCTION = re.compile(r"(open|write|close|stat|rename|remove)=(\d+|[a-z]+)(!?)")
KINDS = {
    sftp.CMD_OPEN: "open",
    sftp.CMD_WRITE: "write",
    sftp.CMD_CLOSE: "close",
    sftp.CMD_STAT: "stat",
    sftp.CMD_RENAME: "rename",
    sftp.CMD_REMOVE: "remove",
}
BROKEN = {
    "short": struct.pack(">IBI", 6, sftp.CMD_STATUS, 0) + b"\0",
    "huge": struct.pack(">I", 0x7FFFFFFF) + b"\x65",
    "zero": struct.pack(">I", 0),
    "text": b"Segmentation fault (core dumped)\n",
}


class Done:
    """What has been carried out, by name and instruction: a second connection must not do it again."""

    def __init__(self):
        self.lock = threading.Lock()
        self.seen = set()

    def take(self, kind, path):
        name = path.rsplit("/", 1)[-1]
        for wanted, act, always in INSTRUCTION.findall(name):
            if wanted != kind:
                continue
            # A temp name holds the final name: both are one file.
            key = (name.split(",", 1)[0].lstrip("."), name.split(",", 1)[-1].split(".", 1)[0], wanted, act)
            with self.lock:
                if always or key not in self.seen:
                    self.seen.add(key)
                    return act
        return None


class Odd(SFTPServer):
    def __init__(self, channel, name, server, *args, **kwargs):
        super().__init__(channel, name, server, Files, *args, **kwargs)
        self.paths = {}
        self.done = server.done
        self.held = None

    def path_of(self, kind, message):
        if kind in ("write", "close"):
            return self.paths.get(message.get_binary(), "")
        first = message.get_text()
        return message.get_text() if kind == "rename" else first

    def _send_packet(self, kind, packet):
        if self.held is None:
            super()._send_packet(kind, packet)
        else:
            self.held.append((kind, packet))

    def _send_handle_response(self, number, handle, folder=False):
        super()._send_handle_response(number, handle, folder)
        if isinstance(handle, SFTPHandle):
            self.paths[handle._get_name()] = handle.path

    def _process(self, kind, number, message):
        known = KINDS.get(kind)
        act = None
        if known:
            copy = paramiko.Message(message.asbytes())
            copy.get_int()
            act = self.done.take(known, self.path_of(known, copy))
        if act is None:
            return super()._process(kind, number, message)
        if act.isdigit():
            answer = paramiko.Message()
            answer.add_int(number)
            answer.add_int(int(act))
            answer.add_string("as told")
            answer.add_string("")
            return self._send_packet(sftp.CMD_STATUS, answer)
        if act == "cutbefore":
            return self.sock.get_transport().close()
        if act == "ignored":
            return None
        self.held = []
        super()._process(kind, number, message)
        held, self.held = self.held, None
        self.instead(act, number, held)

    def instead(self, act, number, held):
        if act == "lost":
            return
        if act == "cut":
            self.sock.get_transport().close()
        elif act in ("late", "twice"):
            time.sleep(LATE_S if act == "late" else 0)
            for kind, packet in held * (2 if act == "twice" else 1):
                self._send_packet(kind, packet)
        elif act == "data":
            self._response(number, sftp.CMD_DATA, b"not what was asked for")
        elif act == "handle":
            self._response(number, sftp.CMD_HANDLE, b"hx99")
        elif act == "attrs":
            self._response(number, sftp.CMD_ATTRS, SFTPAttributes())
        elif act == "otherid":
            self._send_status(number + 1_000_000, SFTP_OK)
        else:
            self._write_all(BROKEN[act])


def status_of(error):
    """As OpenSSH has it; paramiko's own has no word for a name that is too long."""
    return SFTP_BAD_MESSAGE if error.errno == errno.ENAMETOOLONG else SFTPServer.convert_errno(error.errno)


class Files(paramiko.SFTPServerInterface):
    """The files of one folder, as version 3 of the protocol wants it."""

    def __init__(self, server, *args, **kwargs):
        super().__init__(server, *args, **kwargs)
        self.folder = server.options["folder"]

    def real(self, path):
        return os.path.join(self.folder, os.path.normpath("/" + path).lstrip("/"))

    def try_it(self, what, *args):
        try:
            return what(*args) or SFTP_OK
        except OSError as error:
            return status_of(error)

    def attributes(self, how, path):
        try:
            return SFTPAttributes.from_stat(how(self.real(path)))
        except OSError as error:
            return status_of(error)

    def stat(self, path):
        return self.attributes(os.stat, path)

    def lstat(self, path):
        return self.attributes(os.lstat, path)

    def list_folder(self, path):
        try:
            names = os.listdir(self.real(path))
        except OSError as error:
            return status_of(error)
        found = []
        for name in names:
            attributes = SFTPAttributes.from_stat(os.lstat(os.path.join(self.real(path), name)))
            attributes.filename = name
            found.append(attributes)
        return found

    def open(self, path, flags, attr):
        try:
            number = os.open(self.real(path), flags, 0o644)
        except OSError as error:
            return status_of(error)
        writing = flags & (os.O_WRONLY | os.O_RDWR)
        file = os.fdopen(number, "r+b" if flags & os.O_RDWR else "wb" if writing else "rb")
        handle = SFTPHandle(flags)
        handle.path = path
        handle.stat = lambda: SFTPAttributes.from_stat(os.fstat(number))
        if writing:
            handle.writefile = file
        if not flags & os.O_WRONLY:
            handle.readfile = file
        return handle

    def remove(self, path):
        return self.try_it(os.remove, self.real(path))

    def rename(self, old, new):
        # Section 6.5: "It is an error if there already exists a file with the name specified by newpath".
        if os.path.exists(self.real(new)):
            return SFTP_FAILURE
        return self.try_it(os.rename, self.real(old), self.real(new))

    def mkdir(self, path, attr):
        return self.try_it(os.mkdir, self.real(path))

    def rmdir(self, path):
        return self.try_it(os.rmdir, self.real(path))


class Door(paramiko.ServerInterface):
    def __init__(self, options, done):
        self.options = options
        self.done = done

    def get_allowed_auths(self, user):
        methods = ["publickey"] if "authorized_key" in self.options else []
        if "password" in self.options:
            methods.append("keyboard-interactive" if self.options.get("questions") else "password")
        return ",".join(methods)

    def verdict(self, method, good):
        print("login", method, "taken" if good else "refused", flush=True)
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_auth_password(self, user, password):
        open_to = "password" in self.options and not self.options.get("questions")
        good = open_to and (user, password) == (self.options["user"], self.options["password"])
        return self.verdict("password", good)

    def check_auth_publickey(self, user, key):
        wanted = base64.b64decode(self.options.get("authorized_key", " ").split(" ")[1])
        return self.verdict("publickey", user == self.options["user"] and key.asbytes() == wanted)

    def check_auth_interactive(self, user, submethods):
        if not self.options.get("questions") or user != self.options["user"]:
            return self.verdict("keyboard-interactive", False)
        return paramiko.InteractiveQuery("", "", ("Passcode: ", False))

    def check_auth_interactive_response(self, responses):
        return self.verdict("keyboard-interactive", responses == [self.options["password"]])

    def check_channel_request(self, kind, number):
        return paramiko.OPEN_SUCCEEDED


def serve(client, options, key, done):
    more = {"default_window_size": options["window"]} if "window" in options else {}
    transport = paramiko.Transport(client, **more)
    transport.add_server_key(key)
    transport.set_subsystem_handler("sftp", Odd)
    transport.start_server(server=Door(options, done), event=threading.Event())


def main():
    options = json.loads(sys.argv[1])
    key = paramiko.Ed25519Key(filename=options["host_key"])
    done = Done()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    print("listening", listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        serve(client, options, key, done)


main()
