# SPDX-License-Identifier: MIT
"""Runs cases/*.sh on real kernels: one kernel unless OHGUARD_KERNELS names others ("5.10 6.1 6.12 sid 6.1-arm64")."""

import json
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

import vm

REPO = vm.HERE.parent.parent
CASES = sorted((vm.HERE / "cases").glob("*.sh"))
ASKED = os.environ.get("OHGUARD_KERNELS", "").split()
KERNELS = ASKED or ["6.1"]
FACTS = os.environ.get("OHGUARD_VM_FACTS")

DEFAULTS = {
    "mode": None,
    "kernels": "all",  # or names
    "boots": "1",
    "append": "",
    "timeout": "60",
    "alone": "no",  # yes: shares its machine with no other case
    "full": "no",  # yes: left out unless OHGUARD_KERNELS is set
    "files": "",  # SOURCE:/TARGET, the source from the top of the repo
    "prepare": "",  # mode systemd: a command for the shell in its root, before its first boot
}


@dataclass(frozen=True)
class Plan:
    """A case and what its header lines ask for."""

    path: Path
    header: tuple

    @property
    def wants(self):
        return dict(self.header)

    def machine_key(self, kernel):
        """Cases of one key share a machine."""
        wants = self.wants
        alone = self.path.stem if wants["alone"] == "yes" else ""
        return kernel, wants["mode"], wants["append"], int(wants["boots"]), alone


def plan(path):
    wants = dict(DEFAULTS)
    for line in path.read_text().splitlines()[2:]:     # behind those of interpreter and licence
        found = re.fullmatch(r"# ([a-z]+): (.*)", line)
        if not found:
            break
        if found[1] not in wants:
            raise ValueError(f"{path}: no header '{found[1]}'; there are {', '.join(wants)}")
        # Long lists go over several lines of one key.
        wants[found[1]] = f"{wants[found[1]]} {found[2]}" if found[1] in ("files", "prepare") else found[2]
    if wants["mode"] not in ("initramfs", "systemd"):
        raise ValueError(f"{path}: needs '# mode: initramfs' or '# mode: systemd' below its first two lines")
    return Plan(path, tuple(wants.items()))


def pytest_generate_tests(metafunc):
    plans = [plan(path) for path in CASES]
    pairs = [(kernel, p) for kernel in KERNELS for p in plans if p.wants["kernels"] == "all"
             or kernel in p.wants["kernels"].split()]
    # Cases of one machine follow one another, whatever their names.
    pairs.sort(key=lambda pair: (KERNELS.index(pair[0]), pair[1].machine_key("")))
    metafunc.parametrize("kernel,case", pairs, ids=[f"{kernel}-{p.path.stem}" for kernel, p in pairs])


def left_out(case):
    return case.wants["full"] == "yes" and not ASKED


def of_arch(source, kernel):
    """The same file for the kernel's architecture: what is built, and libraries of build/arm64/root."""
    if vm.arch_of(kernel) == "amd64":
        return source
    if source.startswith("/"):
        name = source[1:].replace("lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1")
        name = name.replace("x86_64", "aarch64")
        root = REPO / "build/arm64/root"
        return root / "usr" / name if (root / "usr" / name).exists() else root / name
    return re.sub("^build/(?!systemd/)", "build/arm64/", source)


def files(case, kernel):
    """Pairs of a path of this repo and one of the guest. A folder stands for its Python modules."""
    words = (p.partition(":") for p in case.wants["files"].split())
    pairs = ((REPO / of_arch(source, kernel), target) for source, _, target in words)
    return [(path, f"{target}/{path.name}" if source.is_dir() else target) for source, target in pairs
            for path in (sorted(source.glob("*.py")) if source.is_dir() else [source])]


def missing(case, kernel):
    return [str(source) for source, _ in files(case, kernel) if not source.exists()]


def boot_all(key, plans):
    """Boots the machine of KEY once for all its cases: results by name, or the text of its failure."""
    kernel, mode, append, boots, _ = key
    pairs = list(dict.fromkeys(pair for p in plans for pair in files(p, kernel)))
    cases = [vm.Case(p.path.stem, p.path.read_bytes(), int(p.wants["timeout"]), p.wants["prepare"]) for p in plans]
    try:
        with vm.Run(vm.Machine(kernel, mode, pairs, append, boots), cases) as run:
            try:
                return None, run.run()
            except vm.VmError as error:
                # Cases that had ended before are judged by how they ended.
                return str(error), run.reader.results() if boots == 1 else {}
    except vm.VmError as error:
        return str(error), {}


@pytest.fixture(scope="session")
def machines():
    """What each machine booted so far gave."""
    # A terminated run removes its disks like one that ends.
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", 143))
    yield {}
    signal.signal(signal.SIGTERM, before)


def keep_facts(kernel, output):
    """Lines "fact: KEY = VALUE" of a case, for the table of what each kernel has."""
    facts = json.loads(Path(FACTS).read_text()) if Path(FACTS).exists() else {}
    facts.setdefault(kernel, {}).update(re.findall(r"^fact: (.+?) = (.*)$", output, re.M))
    Path(FACTS).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


def test_case(kernel, case, machines, request):
    if left_out(case):
        pytest.skip("only in the full matrix (make check-vm, or OHGUARD_KERNELS=...)")
    if missing(case, kernel):
        pytest.fail(f"run make first: there is no {', '.join(missing(case, kernel))}", pytrace=False)
    key = case.machine_key(kernel)
    if key not in machines:
        params = [item.callspec.params for item in request.session.items if item.function is request.function]
        same = [p["case"] for p in params if p["case"].machine_key(p["kernel"]) == key]
        machines[key] = boot_all(key, [p for p in same if not left_out(p) and not missing(p, kernel)])
    failure, results = machines[key]
    result = results.get(case.path.stem)
    if result is None:
        pytest.fail(failure or "the case was not reached: one before it failed in an earlier boot", pytrace=False)
    print(result.output)
    if FACTS:
        keep_facts(kernel, result.output)
    if result.status:
        hung = " (killed: it took more than its timeout)" if result.status == 137 else ""
        pytest.fail(f"exit status {result.status}{hung} on kernel {kernel}\n{result.output}", pytrace=False)
