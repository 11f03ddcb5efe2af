# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is installed beside the programs: units, users, folders, polkit's files, the bus policy, the journal catalog.

What the programs do with them is in test_runs.py.
"""

import json
import re
from pathlib import Path

import pytest
from machine import Machine

TOP = Path(__file__).resolve().parents[2]
UNITS = ("syncrund.service", "syncrun@bank.service", "syncrun-reconnect@bank.service", "syncrun-delete@bank.service",
         "syncrun-http.service")

# As systemd-analyze security 252 reckons, times ten. A change for the worse has to be made here too, and said why.
# syncrund sends webhooks, and so has the network and IPv4 and IPv6 sockets; it tells of runs' log lines, and so is in the
# group that may read the journal.
EXPOSURE = {"syncrund.service": 13, "syncrun@bank.service": 14, "syncrun-reconnect@bank.service": 14,
            "syncrun-delete@bank.service": 7, "syncrun-http.service": 8}

ACTIONS = {
    "trigger": "yes",
    "cancel": "yes",
    "reconnect": "yes",
    "full-resync": "auth_admin_keep",
    "configure": "auth_admin_keep",
    "manage-keys": "auth_admin_keep",
    "manage-webhooks": "auth_admin_keep",
    "report": "auth_admin_keep",
    "read-log": "auth_admin_keep",
}

# A worker that does nothing but wait: what systemd, polkit and the bus do with the unit can be seen without ours.
IDLE = """
[Service]
ExecStart=
ExecStart=/bin/sleep infinity
"""


# One that makes a single call.
CALL = """
[Service]
Type=oneshot
ExecStart=
ExecStart={command}
"""


def drop_in(machine, name, text):
    machine.write(f"/etc/systemd/system/syncrun@{name}.service.d/test.conf", text)
    machine.run("systemctl", "daemon-reload")
    return f"syncrun@{name}.service"


@pytest.fixture(scope="module")
def idle_unit(machine):
    return drop_in(machine, "idle", IDLE)


@pytest.fixture
def idle(machine, idle_unit):
    """The unit of a connector whose worker only waits; not started yet."""
    yield idle_unit
    machine.run("systemctl", "stop", idle_unit)


def manager_call(machine, method, *arguments, user="syncrun", check=True):
    service = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]
    signature = "ssi" if method == "KillUnit" else "s" * len(arguments)
    return machine.run("busctl", "call", *service, method, signature, *arguments, user=user, check=check)


@pytest.mark.parametrize("unit", [*UNITS, "system-syncrun.slice", "syncrun-http.socket"])
def test_unit_is_correct(machine, unit):
    done = machine.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit, check=False)
    # The distribution's units are not ours to judge; that our programs are there is seen by starting them.
    said = [line for line in (done.stdout + done.stderr).splitlines() if "syncrun" in line]
    assert [line for line in said if "is not executable" not in line] == []


@pytest.mark.parametrize("unit", UNITS)
def test_exposure_is_pinned(machine, unit):
    text = machine.output("systemd-analyze", "security", "--no-pager", "--offline=true", unit)
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", text).group(1)
    assert float(exposure) * 10 == pytest.approx(EXPOSURE[unit]), text


@pytest.mark.parametrize("unit", UNITS)
def test_memory_is_not_dumped(machine, unit):
    assert machine.output("systemctl", "show", "--property=LimitCORE", "--value", unit) == "0"


def test_users_and_groups(machine):
    user = machine.output("getent", "passwd", "syncrun").split(":")
    assert user[5:] == ["/var/lib/syncrun", "/usr/sbin/nologin"]
    assert machine.output("getent", "group", "syncrun-worker")
    assert machine.output("id", "-nG", "syncrun") == "syncrun"


def test_folders(machine):
    for folder in ("/etc/syncrun/connectors", "/run/syncrun/connectors", "/usr/lib/syncrun/connectors"):
        assert machine.output("stat", "-c", "%U:%G %a %F", folder) == "root:root 755 directory"


def test_polkit_knows_the_actions(machine):
    found = machine.output("pkaction").split()
    assert {name for name in found if name.startswith("org.syncrun1.")} == {f"org.syncrun1.{name}" for name in ACTIONS}
    names = (TOP / "src/base/names.h").read_text()
    assert set(re.findall(r'POLKIT_ACTION_\w+\s+"(.*)"', names)) == {f"org.syncrun1.{name}" for name in ACTIONS}


@pytest.mark.parametrize("action", ACTIONS)
def test_polkit_defaults(machine, action):
    text = machine.output("pkaction", "--verbose", "--action-id", f"org.syncrun1.{action}")
    defaults = dict(re.findall(r"implicit (\w+):\s+(\w+)", text))
    assert defaults == {"any": "auth_admin", "inactive": "auth_admin", "active": ACTIONS[action]}


def check_authorization(machine, subject_user, asker):
    """What polkit tells `asker` about a process of `subject_user`: (authorized, challenge)."""
    script = (
        'pid=$$; start=$(cut -d" " -f22 /proc/$$/stat); setpriv --reuid=$2 --clear-groups busctl --json=short call'
        " org.freedesktop.PolicyKit1 /org/freedesktop/PolicyKit1/Authority org.freedesktop.PolicyKit1.Authority"
        ' CheckAuthorization "(sa{sv})sa{ss}us" unix-process 3 pid u $pid start-time t $start uid i $1'
        ' org.syncrun1.trigger 1 connector bank 0 ""'
    )
    uid = machine.output("id", "-u", subject_user)
    done = machine.run("sh", "-c", script, "sh", uid, asker, check=False)
    if done.returncode != 0:
        return done.stderr.strip()
    authorized, challenge, _ = json.loads(done.stdout)["data"][0]
    return authorized, challenge


def test_the_daemon_may_ask_polkit_about_others(machine):
    assert check_authorization(machine, "root", "syncrun") == (True, False)
    # Not active at the machine: an administrator's password would be needed.
    assert check_authorization(machine, "nobody", "syncrun") == (False, True)
    # Whoever does not own the actions is told nothing.
    assert "Only trusted callers" in check_authorization(machine, "root", "nobody")


def test_the_daemon_starts_and_stops_workers(machine, idle):
    before = machine.now()
    manager_call(machine, "StartUnit", idle, "fail")
    machine.wait_journal("UNIT=" + idle, "JOB_RESULT=done", "JOB_TYPE=start", after=before)
    assert machine.properties(idle, "ActiveState") == {"ActiveState": "active"}
    before = machine.now()
    manager_call(machine, "StopUnit", idle, "replace")
    machine.wait_journal("UNIT=" + idle, "JOB_RESULT=done", "JOB_TYPE=stop", after=before)
    assert machine.properties(idle, "ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}


def test_the_daemon_kills_workers_that_do_not_heed_it(machine, idle):
    before = machine.now()
    manager_call(machine, "StartUnit", idle, "fail")
    machine.wait_journal("UNIT=" + idle, "JOB_RESULT=done", "JOB_TYPE=start", after=before)
    before = machine.now()
    manager_call(machine, "KillUnit", idle, "all", "9")
    machine.wait_journal("UNIT=" + idle, "UNIT_RESULT=signal", after=before)
    machine.run("systemctl", "reset-failed", idle)


@pytest.mark.parametrize(
    "method, arguments",
    [
        ("RestartUnit", ["syncrun@idle.service", "fail"]),
        ("StartUnit", ["syncrun@Idle.service", "fail"]),
        ("StartUnit", ["syncrun@" + "a" * 29 + ".service", "fail"]),
        ("StartUnit", ["syncrun@a.b.service", "fail"]),
        ("StartUnit", ["syncrun@idle.service.service", "fail"]),
        ("StartUnit", ["systemd-update-utmp.service", "fail"]),
        ("StopUnit", ["dbus.service", "fail"]),
        ("StopUnit", ["syncrund.service", "fail"]),
        ("ResetFailedUnit", ["syncrun@idle.service"]),
        ("RefUnit", ["syncrun@idle.service"]),
        ("KillUnit", ["syncrund.service", "all", "9"]),
        ("Reload", []),
    ],
)
def test_the_daemon_may_do_nothing_else(machine, idle, method, arguments):
    machine.run("systemctl", "start", idle)
    done = manager_call(machine, method, *arguments, check=False)
    assert done.returncode == 1
    assert re.search("Permission denied|Access denied|authentication required", done.stderr), done.stderr


def test_others_may_not_start_workers(machine, idle):
    done = manager_call(machine, "StartUnit", idle, "fail", user="nobody", check=False)
    assert done.returncode == 1
    assert machine.properties(idle, "ActiveState") == {"ActiveState": "inactive"}


def test_a_worker_has_its_own_user_and_folder(machine, idle):
    machine.run("systemctl", "start", idle)
    pid = machine.properties(idle, "MainPID")["MainPID"]
    uid = machine.properties(idle, "UID")["UID"]
    assert machine.output("stat", "-c", "%u", f"/proc/{pid}") == uid
    assert 61184 <= int(uid) <= 65519
    assert machine.output("getent", "passwd", "sr-idle").split(":")[2] == uid
    folder = "/var/lib/private/syncrun-connector/idle"
    assert machine.output("stat", "-c", "%u %a", folder) == f"{uid} 700"
    environment = machine.output("cat", f"/proc/{pid}/environ").split("\0")
    assert "STATE_DIRECTORY=/var/lib/syncrun-connector/idle" in environment
    assert "HOME=/var/lib/syncrun-connector/idle" in environment
    machine.run("systemctl", "stop", idle)
    machine.run("systemctl", "start", idle)
    assert machine.properties(idle, "UID")["UID"] == uid


def test_a_worker_reaches_the_bus(machine):
    """dbus-daemon lets in only whom it can look up: the reason for syncrun-userdb."""
    get_id = "busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus GetId"
    unit = drop_in(machine, "caller", CALL.format(command=get_id))
    for _ in range(2):
        machine.run("systemctl", "start", unit)


def test_a_drop_in_brings_credentials(machine):
    command = "grep -q secret %d/token\nSetCredential=token:secret"
    machine.run("systemctl", "start", drop_in(machine, "trusted", CALL.format(command=command)))


def test_a_name_of_greatest_length(machine):
    name = "z" + "-" * 26 + "9"
    unit = drop_in(machine, name, IDLE)
    manager_call(machine, "StartUnit", unit, "fail")
    machine.wait_journal(f"UNIT={unit}", "JOB_RESULT=done", "JOB_TYPE=start")
    assert machine.output("getent", "passwd", "sr-" + name)
    machine.run("systemctl", "stop", unit)


def test_userdb_refuses_what_is_no_user(machine):
    done = machine.run("/usr/lib/syncrun/syncrun-userdb", "sr-nosuch", check=False)
    assert done.returncode == 67
    assert "sr-nosuch" in done.stderr
    assert machine.run("/usr/lib/syncrun/syncrun-userdb", check=False).returncode == 64
    assert machine.output("find", "/run/userdb", "-name", "*nosuch*") == ""


def test_userdb_corrects_a_number_that_is_no_longer_true(machine):
    machine.shell("echo sr-moved:x:4242:4243::/:/bin/false >>/etc/passwd; echo sr-moved:x:4243: >>/etc/group; cd /run/userdb;"
                  "echo '{\"userName\":\"sr-moved\"}' >999.user; echo '{\"groupName\":\"sr-moved\"}' >998.group; ln -s 999.user sr-moved.user; ln -s 998.group sr-moved.group")
    for _ in range(2):
        machine.run("/usr/lib/syncrun/syncrun-userdb", "sr-moved")
        assert json.loads(machine.output("cat", "/run/userdb/sr-moved.user"))["uid"] == 4242
        assert json.loads(machine.output("cat", "/run/userdb/4243.group"))["groupName"] == "sr-moved"
        assert machine.output("find", "/run/userdb", "-name", "99[89].*") == ""
    machine.run("sed", "-i", "/^sr-moved:/d", "/etc/passwd", "/etc/group")


def test_userdb_leaves_a_number_to_whom_it_went(machine):
    """PID 1 gives a number that is free again to somebody else."""
    def record(user, number):
        machine.shell(f"sed -i /^{user}:/d /etc/passwd; echo {user}:x:{number}:{number}::/:/bin/false >>/etc/passwd")
        machine.run("/usr/lib/syncrun/syncrun-userdb", user)

    def recorded(user):
        found = json.loads(machine.output("cat", f"/run/userdb/{user}.user"))
        return found["userName"], found["uid"]

    record("sr-first", 4300)
    record("sr-second", 4300)
    record("sr-first", 4301)
    assert recorded("sr-second") == ("sr-second", 4300)
    assert recorded("sr-first") == ("sr-first", 4301)
    record("sr-second", 4302)
    record("sr-first", 4300)
    assert recorded("sr-second") == ("sr-second", 4302)
    assert recorded("sr-first") == ("sr-first", 4300)
    machine.run("sed", "-i", "/^sr-first:/d;/^sr-second:/d", "/etc/passwd")


def test_the_network_is_waited_for(machine):
    """A unit that is ordered after the target waits for nothing if nobody wants the target."""
    assert "network-online.target" in machine.properties("syncrund.service", "Wants")["Wants"]
    assert "network-online.target" in machine.properties("syncrun@bank.service", "After")["After"]


def test_only_the_daemon_may_own_the_name(machine):
    own = ["busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName"]
    for user in ("nobody", None):
        done = machine.run(*own, "su", "org.syncrun1", "4", user=user, check=False)
        assert done.returncode == 1
        assert "Access denied" in done.stderr
    assert machine.output(*own, "su", "org.syncrun1", "4", user="syncrun") == "u 1"


def test_the_catalog_tells_what_to_do(machine):
    machine.run("journalctl", "--update-catalog")
    names = (TOP / "src/base/names.h").read_text()
    ids = dict(re.findall(r'#define (MSG_\w+)\s+"([0-9a-f]{32})"', names))
    assert len(set(ids.values())) == len(ids)
    ours = re.findall(r"^-- ([0-9a-f]{32})$", (TOP / "systemd/syncrun.catalog").read_text(), re.M)
    assert sorted(ours) == sorted(ids.values())
    listed = machine.output("journalctl", "--no-pager", "--dump-catalog", *ids.values())
    for name, message_id in ids.items():
        assert f"-- {message_id}\nSubject: " in listed, name
    fields = f"MESSAGE_ID={ids['MSG_RUN_CANCELLED']}\nMESSAGE=Cancelled\nSYNCRUN_CONNECTOR=bank\nSYNCRUN_RUN_ID=r1\n"
    before = machine.now()
    machine.run("logger", "--journald", stdin=fields)
    machine.wait_journal("SYNCRUN_RUN_ID=r1", after=before)
    shown = machine.output("journalctl", "--no-pager", "--catalog", "--output=short", "SYNCRUN_RUN_ID=r1")
    assert "A run of connector bank was cancelled" in shown
    assert '"systemctl stop syncrun@bank.service"' in shown
    assert "@SYNCRUN" not in shown


def test_every_field_of_the_catalog_is_one_that_exists():
    names = (TOP / "src/base/names.h").read_text()
    fields = set(re.findall(r'#define FIELD_\w+\s+"(\w+)"', names))
    used = set(re.findall(r"@([A-Z_]+)@", (TOP / "systemd/syncrun.catalog").read_text()))
    assert used <= fields


RAW_CALL = """
import sys
from gi.repository import Gio, GLib
bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)
path, member, *words = sys.argv[1:]
message = Gio.DBusMessage.new_method_call("org.syncrun1", path, None, member)
if words:
    message.set_body(GLib.Variant("(" + "s" * len(words) + ")", words))
reply, _ = bus.send_message_with_reply_sync(message, Gio.DBusSendMessageFlags.NONE, 100000)
print(reply.get_error_name() or reply.get_body().print_(False))
"""


def test_a_call_without_interface_is_let_through_to_all_but_workers_methods(machine):
    """A rule that denies an interface holds for calls that name none, unless it names members, too. What becomes of such a
    call is for the daemon to say."""
    call = ["/usr/bin/python3", "-c", RAW_CALL]
    answer = machine.output(*call, "/org/syncrun1", "GetConnector", "nosuch", user="nobody")
    assert answer and answer != "org.freedesktop.DBus.Error.AccessDenied"
    machine.run("systemctl", "stop", "syncrund.service")  # the call has started it
    policy = (TOP / "dbus/org.syncrun1.conf").read_text()
    contract = (TOP / "dbus/org.syncrun1.Worker.xml").read_text()
    members = re.findall(r'<method name="(\w+)"', contract)
    assert members
    assert re.findall(r'<deny send_destination="org.syncrun1" send_interface="org.syncrun1.Worker"\s+send_member="(\w+)"', policy) == members
    for member in members:
        answer = machine.output(*call, "/org/syncrun1/connector/nosuch", member, user="nobody")
        assert answer == "org.freedesktop.DBus.Error.AccessDenied", member


def test_installing_on_a_running_system(installed):
    """What `meson install` does at its end is all that a running system needs."""
    with Machine() as machine:
        machine.boot()
        machine.install(installed)
        machine.write("/root/post-install", (TOP / "systemd/post-install").read_text(), mode=0o755)
        machine.run("/root/post-install")
        machine.run("systemctl", "enable", "--now", "syncrund.service")
        assert machine.properties("syncrund.service", "ActiveState") == {"ActiveState": "active"}
        machine.run("syncrunctl", "list", user="nobody")
