# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the bundled connectors share: options, state, and the messages of syncrun.connector(5).

Nothing here knows a provider. A connector needs none of it: see examples/ for ones that print their lines themselves.
"""

import argparse
import json
import os
import sys
import time

PROGRESS_INTERVAL_SEC = 0.25


class Failure(Exception):
    """Ends the run: a message in the provider's words, an exit status of sysexits.h, and what the user shall mend."""

    def __init__(self, message, status, attention=None):
        super().__init__(message)
        self.status = status
        self.attention = attention


def config_failure(message):
    return Failure(message, os.EX_CONFIG, "configuration_error")


class Run:
    """One run: `options` from the command line over those of --config, `state` of the last run, and what is sent.

    `accounts` are those that somebody asked for in particular, None for all.
    """

    def __init__(self, options, state, full_resync):
        self.options = options
        self.state = state
        self.full_resync = full_resync
        self.accounts = os.environ["SYNCRUN_ACCOUNTS"].splitlines() if "SYNCRUN_ACCOUNTS" in os.environ else None
        self._stage = None
        self._progress_due = 0.0

    def send(self, kind, **payload):
        json.dump({"type": kind, **payload}, sys.stdout, ensure_ascii=False, separators=(",", ":"))
        sys.stdout.write("\n")

    def schema(self, stream, properties, key):
        schema = {"type": "object", "properties": {name: {"type": kind} for name, kind in properties.items()}}
        self.send("SCHEMA", stream=stream, schema=schema, key_properties=key)

    def record(self, stream, record, account=None):
        self.send("RECORD", stream=stream, record=record, **({"account": account} if account else {}))

    def save_state(self, value):
        """The records so far are all that `value` covers; the next run finds it in its state file."""
        self.send("STATE", value=value)
        sys.stdout.flush()

    def progress(self, stage, processed, total, message=None):
        """Cheap enough to be called for every record: sent on a new stage, at the end, and now and then between."""
        now = time.monotonic()
        if stage == self._stage and processed < total and now < self._progress_due:
            return
        self._stage = stage
        self._progress_due = now + PROGRESS_INTERVAL_SEC
        self.send("PROGRESS", stage=stage, processed=processed, total=total, **({"message": message} if message else {}))
        sys.stdout.flush()

    def account(self, name, status, error=None, category=None):
        details = {"error": error, "category": category} if error else {}
        self.send("ACCOUNT", account=name, status=status, **details)

    def attention(self, category, message):
        self.send("ATTENTION", category=category, message=message)


def log(message):
    """A line for the run's log."""
    print(message, file=sys.stderr, flush=True)


def read_json(path, what):
    """The JSON object in a file; {} where the file is empty."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        value = json.loads(text) if text.strip() else {}
    except (OSError, ValueError) as error:
        raise config_failure(f"{what} {path}: {error}") from error
    if not isinstance(value, dict):
        raise config_failure(f"{what} {path}: not a JSON object")
    return value


def read_state(path, full_resync):
    """What the last run saved; {} at the first run and where everything is to be read again."""
    if full_resync or not path or not os.path.exists(path):
        return {}
    return read_json(path, "state file")


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Failure(message, os.EX_USAGE, "configuration_error")


def parse_arguments(description, add_options):
    parser = Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", metavar="FILE", help="JSON object with any of the options below")
    parser.add_argument("--state", metavar="FILE", default=os.environ.get("SYNCRUN_STATE"),
                        help="what the last run saved (default: $SYNCRUN_STATE)")
    add_options(parser)
    args = parser.parse_args()

    config = read_json(args.config, "configuration") if args.config else {}
    names = {action.dest for action in parser._actions} - {"help", "config", "state"}
    unknown = sorted(set(config) - names)
    if unknown:
        raise config_failure(f"configuration {args.config}: unknown option {', '.join(unknown)}")
    # As text, which is checked and converted like the same option of the command line.
    parser.set_defaults(**{name: str(value) for name, value in config.items()})
    return parser.parse_args()


def main(description, add_options, pull):
    """Run `pull(run)` and turn what goes wrong into an exit status. Does not return."""
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    run = Run(None, {}, os.environ.get("SYNCRUN_FULL_RESYNC") == "1")
    try:
        run.options = parse_arguments(description, add_options)
        run.state = read_state(run.options.state, run.full_resync)
        pull(run)
        sys.stdout.flush()
    except Failure as failure:
        if failure.attention:
            run.attention(failure.attention, str(failure))
            sys.stdout.flush()
        log(str(failure))
        sys.exit(failure.status)
    except BrokenPipeError:
        # Whoever reads us has gone; what it has stored is its own business. Keep the exit handlers from flushing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(os.EX_IOERR)
    except OSError as error:
        log(str(error))
        sys.exit(os.EX_NOPERM if isinstance(error, PermissionError) else os.EX_IOERR)
    sys.exit(os.EX_OK)
