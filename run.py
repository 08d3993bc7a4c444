#!/usr/bin/env python3
"""Start Relume, or test it. Needs Python 3.11 or newer and nothing else.

    python3 run.py                 install into .venv on first use, then start the server and the dashboard
    python3 run.py test            install the checks too, then run all of them
    python3 run.py test ARGS...    run pytest alone, with these arguments
    python3 run.py COMMAND ...     run `relume COMMAND ...`, for example: restore photo.jpg

Options without a command, like --port 9000, go to the server. RELUME_VENV moves .venv elsewhere.
RELUME_EXTRAS installs more of Relume: RELUME_EXTRAS=local for models on this machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent
WINDOWS = os.name == "nt"
TEST_PROCESSES = ("-n", "2", "--dist", "worksteal")
"""Neighbours mostly stay together, and what they share is made once. Should one of the processes die, another takes
over the rest and the test it died in: with `loadfile` the run would wait for ever."""
SECOND_TRY = ("--reruns", "1", "-r", "aR")
"""A machine that is busy with other things can upset a test of real processes. Each second try is listed at the
end: a test that needs one has a race, which is a fault to mend. pytest alone (`run.py test ARGS...`) gives none."""
LOG_LINES_SHOWN = 15
NO_NETWORK = (
    *("NewConnectionError", "ConnectTimeout", "NameResolutionError", "ReadTimeout", "ProxyError"),
    "(from versions: none)",
)
"""What pip says when it reaches no package index."""


class SetupError(Exception):
    """Says in one sentence what stands in the way, and what to do."""


def main(arguments: Sequence[str]) -> int:
    if sys.version_info[:2] < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        return fail(f"Relume needs Python {wanted} or newer; this is Python {platform.python_version()}.")
    if list(arguments[:1]) in (["-h"], ["--help"]):
        print(__doc__.strip())
        return 0
    environment = Environment(Path(os.environ.get("RELUME_VENV") or ROOT / ".venv").absolute())
    testing = list(arguments[:1]) == ["test"]
    try:
        environment.ensure((*(("dev",) if testing else ()), *wanted_extras()))
    except SetupError as error:
        return fail(str(error))
    except KeyboardInterrupt:
        return fail("Stopped. The next start installs afresh.", code=130)
    if testing:
        return run_checks(environment, arguments[1:])
    # -P: what lies in the present folder must not stand in for a module.
    return start(environment.python, ["-P", "-m", "relume", *relume_arguments(arguments)])


def wanted_extras() -> list[str]:
    """The optional packages of pyproject.toml that RELUME_EXTRAS names, separated by commas."""
    return [name.strip() for name in os.environ.get("RELUME_EXTRAS", "").split(",") if name.strip()]


def relume_arguments(arguments: Sequence[str]) -> list[str]:
    """`serve` is what is meant when no command is named."""
    names_command = bool(arguments) and (not arguments[0].startswith("-") or arguments[0] == "--version")
    return list(arguments) if names_command else ["serve", *arguments]


def start(python: Path, arguments: Sequence[str]) -> int:
    """Become the program, so that signals reach it and its exit code is ours."""
    os.environ.setdefault("RELUME_HOME", str(ROOT))
    command = [str(python), *arguments]
    if not WINDOWS:
        os.execv(python, command)  # noqa: S606 (no shell is wanted)
    process = subprocess.Popen(command)
    while process.poll() is None:
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C reaches the program too: it ends by itself.
            process.wait()
    return process.returncode


def fail(sentence: str, *, code: int = 1) -> int:
    print(f"run.py: {sentence}", file=sys.stderr)
    return code


def tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


# --- The virtual environment ---------------------------------------------------------------------------


class Environment:
    """A virtual environment with Relume in it, and a stamp that says what it was made from.

    The stamp says `installing` while pip works and `ready` after: a killed installation starts over.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scripts = folder / ("Scripts" if WINDOWS else "bin")
        self.python = self.scripts / ("python.exe" if WINDOWS else "python")
        self._stamp = folder / "relume-stamp.json"
        self._lock = folder / "relume.lock"
        self._log = folder / "relume-install.log"

    def ensure(self, extras: Sequence[str]) -> None:
        """Make the environment ready. Does nothing, fast, when it is. Raises SetupError."""
        if self.is_ready(extras):
            return
        self._refuse_strange_folder()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(f"Cannot create {self.folder}: {error.strerror}.") from error
        with locked(self._lock):
            if not self.is_ready(extras):  # Another start may have done it while this one waited.
                self._install(extras)

    def is_ready(self, extras: Sequence[str]) -> bool:
        stamp = self._read_stamp()
        return (
            stamp.get("state") == "ready"
            and stamp.get("base") == base_fingerprint()
            and stamp.get("project") == project_fingerprint()
            and set(extras) <= set(stamp.get("extras", []))
            and self._python_works()
        )

    def _refuse_strange_folder(self) -> None:
        """RELUME_VENV may name anything: only an empty folder or a virtual environment is touched."""
        if not self.folder.exists():
            return
        known = (self._lock, self.folder / "pyvenv.cfg")
        if not self.folder.is_dir() or (any(self.folder.iterdir()) and not any(p.exists() for p in known)):
            raise SetupError(
                f"{self.folder} is not a virtual environment; set RELUME_VENV to an empty folder."
            )

    def _install(self, extras: Sequence[str]) -> None:
        started = time.monotonic()
        stamp = self._read_stamp()
        if not self._can_be_kept(stamp):
            self._clear()
            stamp = {}
        all_extras = sorted({*extras, *stamp.get("extras", [])})
        self._write_stamp(state="installing")
        if not self._python_works():
            tell(f"Creating {self.folder} ...")
            self._create()
        tell("Installing Relume. Only the first start and changes of pyproject.toml need this ...")
        self._pip_install(f".[{','.join(all_extras)}]" if all_extras else ".")
        self._write_stamp(
            state="ready", base=base_fingerprint(), project=project_fingerprint(), extras=all_extras
        )
        tell(f"Installed in {time.monotonic() - started:.0f} s.")

    def _can_be_kept(self, stamp: dict[str, Any]) -> bool:
        """An environment without a stamp was made by somebody else: pip adds to it."""
        interrupted = stamp.get("state") == "installing"
        moved = bool(stamp) and stamp.get("base") != base_fingerprint()
        return self._python_works() and not interrupted and not moved

    def _clear(self) -> None:
        """Delete all but the lock file, which is open and which other starts wait for."""
        for entry in self.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry != self._lock:
                entry.unlink()

    def _create(self) -> None:
        if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
            package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
            raise SetupError(
                f"This Python cannot create virtual environments: on Debian or Ubuntu, apt install {package}."
            )
        code, output = self._run([sys.executable, "-m", "venv", str(self.folder)])
        if code:
            show_end_of(output)
            raise SetupError(f"The virtual environment could not be created in {self.folder}; see above.")

    def _pip_install(self, requirement: str) -> None:
        # -I: a package that PYTHONPATH leads to would count as installed.
        pip = [str(self.python), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
        code, output = self._run([*pip, "install", "--progress-bar=off", "--editable", requirement])
        self._log.write_text(output, encoding="utf-8")
        if not code:
            return
        show_end_of(output)
        if any(sign in output for sign in NO_NETWORK):
            raise SetupError(
                "The package index cannot be reached: check the network and proxy, then start again."
            )
        raise SetupError(f"Relume's packages could not be installed; all of pip's words are in {self._log}.")

    def _run(self, command: Sequence[str]) -> tuple[int, str]:
        """Run a command in the checkout, showing its present line in a terminal. Exit code and output."""
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        lines = []
        try:
            for line in process.stdout or ():
                lines.append(line)
                show_passing(line)
        except BaseException:
            process.kill()
            raise
        finally:
            show_passing("")
        return process.wait(), "".join(lines)

    def _python_works(self) -> bool:
        """False also for the link that stays when the Python below it is gone."""
        if not self.python.exists() or not (self.folder / "pyvenv.cfg").exists():
            return False
        with contextlib.suppress(OSError):
            return subprocess.run([self.python, "-I", "-S", "-c", ""], check=False).returncode == 0
        return False

    def _read_stamp(self) -> dict[str, Any]:
        """Empty when there is none, or when it was cut short."""
        try:
            stamp = json.loads(self._stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) else {}

    def _write_stamp(self, **stamp: object) -> None:
        part = self._stamp.with_suffix(".part")
        part.write_text(json.dumps(stamp), encoding="utf-8")
        part.replace(self._stamp)


def base_fingerprint() -> str:
    """What an environment cannot survive a change of: the Python it stands on, and where the checkout is."""
    facts = (platform.python_version(), sys.base_prefix, sys.platform, platform.machine(), str(ROOT))
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def project_fingerprint() -> str:
    """What pip has to look at again after a change."""
    return hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()


def show_passing(line: str) -> None:
    """Show pip's present line over the last one: in a terminal only."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{line.strip()[:width]:<{width}}\r", end="", file=sys.stderr, flush=True)


def show_end_of(output: str) -> None:
    for line in output.splitlines()[-LOG_LINES_SHOWN:]:
        tell(f"  | {line}")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock of the operating system, which ends with the process whatever happens to it."""
    with path.open("a+b") as file:
        if not try_lock(file):
            tell("Another start is installing; waiting for it ...")
            while not try_lock(file):
                time.sleep(0.2)
        yield


def try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


# --- The checks ----------------------------------------------------------------------------------------


def run_checks(environment: Environment, pytest_arguments: Sequence[str]) -> int:
    """Every check, whatever the ones before it said. pytest comes last, and its last line too."""
    python = str(environment.python)
    if pytest_arguments:
        return subprocess.call([python, "-m", "pytest", *pytest_arguments], cwd=ROOT)
    results = [
        (name, run_check(name, command))
        for name, command in (
            ("ruff check", [python, "-m", "ruff", "check", "."]),
            ("ruff format", [python, "-m", "ruff", "format", "--check", "."]),
            ("mypy", [python, "-m", "mypy"]),
            ("import-linter", [str(environment.scripts / "lint-imports")]),
        )
    ]
    summary = ", ".join(f"{name} {'ok' if passed else 'FAILED'}" for name, passed in results)
    print(f"\nSo far: {summary}.", flush=True)
    tests_pass = run_check("pytest", [python, "-m", "pytest", *TEST_PROCESSES, *SECOND_TRY])
    broken = [name for name, passed in results if not passed]
    if broken:
        return fail(f"Failed before the tests: {', '.join(broken)}.")
    return 0 if tests_pass else 1


def run_check(name: str, command: Sequence[str]) -> bool:
    print(f"\n=== {name}", flush=True)
    return subprocess.call(command, cwd=ROOT) == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
