# SPDX-License-Identifier: MIT
"""What the scenes that run in mount namespaces of their own share."""
import pathlib
import subprocess


def write(path, text, mode=0o755):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def overlay(folder, path):
    """What is written below path from now on goes to folder."""
    upper = folder / ("over" + path.replace("/", "-"))
    for part in ("up", "work"):
        (upper / part).mkdir(parents=True)
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                    f"lowerdir={path},upperdir={upper}/up,workdir={upper}/work", path],
                   check=True)
