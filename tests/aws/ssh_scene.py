# SPDX-License-Identifier: MIT
"""Run by test_ssh.py in namespaces of its own (network and mounts): two real sshd at the addresses of proxy and
server, and commands of `ohguard aws` against them. What would change a machine (apt-get, docker, systemctl, the guard
itself) only notes that it was called. Prints a JSON list of what each command said.

Arguments: work folder and the proxy's public address; on standard input a JSON list of [arguments, standard input]."""
import json
import os
import pathlib
import subprocess
import sys
import time

from scene import overlay, write

folder, public = pathlib.Path(sys.argv[1]), sys.argv[2]
SERVER = "10.0.1.11"
CONF = os.environ["OHGUARD_CONF"]
NOTED = ("apt-get", "docker", "systemctl", "useradd", "usermod", "gpasswd", "ufw", "nginx", "fail2ban-client",
         "lsblk", "blkid", "mkfs.ext4", "mount", "mountpoint", "findmnt", "resize2fs", "growpart", "journalctl")


def sh(*argv, **keys):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **keys)


def mounts():
    for path in ("/etc", "/usr/local", "/var/lib"):
        overlay(folder, path)
    sh("mount", "-t", "tmpfs", "none", "/home")
    sh("mount", "-t", "tmpfs", "none", "/sys")  # no cgroup to attach anything to, whatever runs here
    home = pathlib.Path("/home/ubuntu")
    (home / ".ssh").mkdir(parents=True)
    with open("/etc/passwd", "a") as f:
        f.write("ubuntu:x:0:0::/home/ubuntu:/bin/bash\nopenhands:x:0:0::/var/lib/openhands:/bin/false\n")
    key = sh("ssh-keygen", "-y", "-f", str(folder / "key.pem")).stdout
    write(home / ".ssh/authorized_keys", key, 0o600)
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)


def tools(machine):
    """Its own: what it calls is in MACHINE-calls.log."""
    bin_folder = folder / f"{machine}-bin"
    log = folder / f"{machine}-calls.log"
    for name in NOTED:
        write(bin_folder / name, f'#!/bin/sh\necho "{name} $*" >>{log}\n')
    write(bin_folder / "sudo", '#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n')
    write(bin_folder / "runuser", '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift\nexec "$@"\n')
    return bin_folder


def program():
    # In place of the program that is delivered: this machine must not be guarded.
    for machine in ("proxy", "server"):
        write(folder / f"{machine}-stub", f'''#!/bin/sh
echo "ohguard $*" >>{folder}/{machine}-calls.log
[ ! -e {folder}/guard-fails ] || {{ echo why; echo and why; exit 1; }} >&2
''')
    write(pathlib.Path(os.environ["PATH"].split(":")[0]) / "scp", f"""#!/bin/bash
to=${{@: -1}}
machine=${{to%%[-:]*}}
echo "$@" >>{folder}/copies
if [[ $to == *.ohguard-delivery/ohguard ]]; then set -- "${{@:1:$#-2}}" {folder}/$machine-stub "$to"; fi
exec /usr/bin/scp "$@"
""")


def sshd(name, address, bin_folder):
    key = folder / f"{name}.hostkey"
    write(folder / f"{name}.sshd",
          f"ListenAddress {address}\nPort 22\nHostKey {key}\nPidFile none\nPermitRootLogin yes\n"
          "PasswordAuthentication no\nStrictModes no\nUsePAM no\nSubsystem sftp internal-sftp\n"
          f"SetEnv PATH={bin_folder}:/usr/sbin:/usr/bin:/sbin:/bin\n", 0o600)
    return subprocess.Popen(["/usr/sbin/sshd", "-D", "-E", str(folder / f"{name}.log"), "-f",
                             str(folder / f"{name}.sshd")])


def main():
    sh("ip", "link", "set", "lo", "up")
    for address in (public, SERVER):
        sh("ip", "address", "add", address + "/32", "dev", "lo")
    mounts()
    program()
    for folder_of in ("sites-available", "sites-enabled"):
        pathlib.Path("/etc/nginx", folder_of).mkdir(parents=True, exist_ok=True)
    daemons = [sshd("proxy", public, tools("proxy")), sshd("server-1", SERVER, tools("server"))]
    results = []
    try:
        time.sleep(1)
        for arguments, text in json.load(sys.stdin):
            if arguments[0] == "sh":
                done = subprocess.run(arguments, capture_output=True, text=True)
            else:
                done = subprocess.run([os.environ["OHGUARD"], "aws", arguments[0], "-c", CONF,
                                       *arguments[1:]], input=text or "", capture_output=True, text=True, timeout=1200)
            results.append([done.returncode, done.stdout, done.stderr])
        print(json.dumps(results))
    finally:
        for daemon in daemons:
            daemon.terminate()
            daemon.wait()


main()
