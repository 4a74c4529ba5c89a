# SPDX-License-Identifier: MIT
"""Runs the real `aws` without its second of start-up: imported once, forked for each call.

A client hands over its standard files, argv and environment through a Unix socket, and gets the exit status. What
runs in the fork is awscli itself, unchanged."""
import array
import gc
import json
import os
import signal
import socket
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer

KEYS = ("AKIATESTTESTTESTTEST", "secret-for-moto")
CLIENT = """#!/usr/bin/python3 -ISs
import array, json, os, socket, struct, sys
s = socket.socket(socket.AF_UNIX); s.connect({path!r})
data = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
s.sendmsg([struct.pack("!I", len(data))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
s.sendall(data)
answer = s.recv(1)
sys.exit(answer[0] if answer else 70)
"""


def call(driver, argv, environment, folder, fds):
    os.chdir(folder)
    data_path = os.environ["AWS_DATA_PATH"]  # awscli sets it when it is imported
    os.environ.clear()
    os.environ.update(environment, AWS_DATA_PATH=data_path)
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
        os.close(fd)
    sys.argv = ["aws", *argv]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout, sys.stderr = open(0, closefd=False), open(1, "w", closefd=False), open(2, "w", closefd=False)
    try:
        status = driver.main(argv)
    except SystemExit as e:
        status = e.code if isinstance(e.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status or 0


def serve_one(driver, connection):
    head, ancillary, _, _ = connection.recvmsg(4, socket.CMSG_SPACE(12))
    fds = array.array("i")
    fds.frombytes(ancillary[0][2])
    size, data = int.from_bytes(head, "big"), b""
    while len(data) < size:
        data += connection.recv(size - len(data))
    status = 70
    try:
        status = call(driver, *json.loads(data), list(fds))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    # Who waits for its end of file may get it before the caller hears of the end.
    for fd in range(3):
        os.close(fd)
    try:
        connection.sendall(bytes([status & 255]))
    except OSError:
        pass  # the caller was killed: what tests of interruption do


class Nobody(BaseHTTPRequestHandler):
    """Answers every call with nothing."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = b"{}" if "X-Amz-Target" in self.headers else b"<answer/>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, form, *words):
        pass


WARM = ("ec2 describe-vpcs --filters Name=tag:x,Values=y --query Vpcs",
        "ec2 describe-nat-gateways --filter Name=x,Values=y --query X[].Y[]",
        "ec2 create-subnet --vpc-id x --cidr-block x --tag-specifications ResourceType=subnet,Tags=[{Key=x,Value=y}]",
        "ec2 run-instances --count 1 --image-id x --no-associate-public-ip-address --subnet-id x --user-data "
        "file:///dev/null",
        "ssm get-parameter --name x")


def warm_up(driver):
    """Calls to nobody: what they load and compute, all later ones have from the start. Most of a call's time."""
    server = HTTPServer(("127.0.0.1", 0), Nobody)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    nobody = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_MAX_ATTEMPTS": "1",
              "AWS_ACCESS_KEY_ID": KEYS[0], "AWS_SECRET_ACCESS_KEY": KEYS[1]}
    os.environ.update(nobody)
    for words in WARM:
        with open(os.devnull, "w") as sys.stdout:
            driver.main([*words.split(), "--region", "us-east-1", "--output", "json"])
    sys.stdout = sys.__stdout__
    for name in nobody:
        del os.environ[name]
    server.shutdown()
    thread.join()
    server.server_close()
    gc.freeze()  # what is shared with the forks stays shared


def main(path):
    from awscli.clidriver import create_clidriver
    driver = create_clidriver()
    warm_up(driver)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    while True:
        connection, _ = listener.accept()
        worker = os.fork()
        if not worker:
            listener.close()
            serve_one(driver, connection)
            os._exit(0)
        connection.close()
        while True:  # reap earlier workers, wait for none
            try:
                if not os.waitpid(-1, os.WNOHANG)[0]:
                    break
            except ChildProcessError:
                break


if __name__ == "__main__":
    main(sys.argv[1])
