"""The agent as a process: its configuration, its life and death, and what the kernel and its own metrics say of it."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.request


def config(folder, sources, destinations=(), agent="", seal="", port=None):
    """Writes a configuration below `folder`. `sources` is {name: [paths]}; `destinations` are tables as text."""
    folder = pathlib.Path(folder)
    text = [f'[agent]\nname = "bench"\norigin = "bench/local/bench"\nstate_dir = {json.dumps(str(folder / "state"))}\n{agent}']
    text.append(f"[seal]\n{seal}")
    if port:
        text.append(f'[health]\nlisten = "127.0.0.1:{port}"')
    for name, paths in sources.items():
        text.append(f'[[source]]\nname = "{name}"\npaths = {json.dumps([str(path) for path in paths])}\nformat = "postgres-csvlog"')
    text.extend(f"[[destination]]\n{table}" for table in destinations)
    path = folder / "sealtrail.toml"
    path.write_text("\n\n".join(text) + "\n")
    return path


class Agent:
    """A running agent. What it says goes to one file, all its runs after one another."""

    def __init__(self, binary, config_path, said, port, nice=0):
        self.port = port
        self.started = time.monotonic()
        command = [str(binary), "run", "-c", str(config_path)]
        if nice:
            command = ["nice", "-n", str(nice)] + command
        with open(said, "ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=output)
        self.pid = self.process.pid

    def running(self):
        return self.process.poll() is None

    def kill9(self):
        self.process.kill()
        return self.process.wait(timeout=60)

    def stop(self, patience=60):
        self.process.terminate()
        return self.process.wait(timeout=patience)

    def metrics(self):
        """{(name, source or destination): value}; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=2) as answer:
                return parse_metrics(answer.read().decode())
        except OSError:
            return None

    def wait_until(self, fits, patience, every=0.1):
        """Until the metrics fit; False when patience or the agent ends first."""
        end = time.monotonic() + patience
        while time.monotonic() < end and self.running():
            metrics = self.metrics()
            if metrics and fits(metrics):
                return True
            time.sleep(every)
        return False

    def usage(self):
        """What the kernel says: resident now and at its peak in KiB, open files, threads, seconds on a core. None when it is gone."""
        try:
            status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
            fields = dict(re.findall(r"^(VmRSS|VmHWM|Threads):\s+(\d+)", status, re.MULTILINE))
            tasks = pathlib.Path(f"/proc/{self.pid}/task").glob("*/schedstat")
            cpu = sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
            fds = len(os.listdir(f"/proc/{self.pid}/fd"))
            return {"rss_kib": int(fields["VmRSS"]), "peak_kib": int(fields["VmHWM"]), "fds": fds,
                    "threads": int(fields["Threads"]), "cpu_s": round(cpu, 3)}
        except (OSError, KeyError, ValueError):
            return None


def parse_metrics(text):
    found = {}
    for name, labels, value in re.findall(r"^(\w+)(?:\{([^}]*)\})? (\S+)", text, re.MULTILINE):
        label = re.search(r'(?:source|destination)="([^"]*)"', labels or "")
        found[name, label.group(1) if label else ""] = float(value)
    return found


def drain(binary, config_path, said, patience=600):
    with open(said, "ab") as output:
        command = [str(binary), "run", "-c", str(config_path), "--drain"]
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=output, timeout=patience,
                              check=False).returncode


def verify(binary, state, folder):
    """Exit code and output."""
    key = next((pathlib.Path(state) / "keys").glob("*.pub"))
    done = subprocess.run([str(binary), "verify", "--key", str(key), str(folder)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ended_by(returncode):
    return signal.Signals(-returncode).name if returncode is not None and returncode < 0 else returncode
