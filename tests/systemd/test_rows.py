"""The rows of X254 and X261, and the tests of this folder that read each back: from the process, and from systemd."""
from __future__ import annotations

import pathlib
import re

import pytest

_FOLDER = pathlib.Path(__file__).parent

X254 = {
    "argv": "test_x254_arguments_reach_the_program_as_they_are test_x254_nothing_in_arguments_is_expanded_by_systemd "
            "test_x254_dollars_are_for_the_shell test_x10_the_path_of_the_job_is_searched "
            "test_x11_a_file_without_an_interpreter_is_a_shell_script test_x254_what_systemd_executes_is_the_launcher",
    "multi-line script": "test_x5_a_script_of_several_lines_comes_through_descriptor_9 test_x6_lines_of_a_script_are_counted_as_in_upstart "
                         "test_x6_a_script_of_a_mebibyte",
    "exec = ready": "test_x254_type_is_exec_and_start_never_times_out test_x256_it_fails_the_same_way",
    "expect fork/daemon": "test_x254_forks_are_followed_and_systemd_knows_the_main_process "
                          "test_x254_expect_daemon_with_an_exit_status_of_its_own",
    "expect stop": "test_x254_expect_stop_is_seen_by_the_tracer",
    "environment": "test_x254_the_environment_is_the_jobs_alone test_x254_exec_env_prints_the_same",
    "setuid / setgid": "test_x254_setuid_and_setgid",
    "chroot / chdir": "test_x254_chroot_alone_is_a_service test_x254_chdir",
    "umask, nice, oom": "test_x254_umask_nice_and_oom test_x254_umask_nice_and_oom_that_are_not_given",
    "limit X": "test_x254_limits test_x254_limits_that_are_not_given_are_the_daemons_own",
    "console none": "test_x254_console_none",
    "console log": "test_x254_console_log test_x133_output_of_a_fast_end_is_complete",
    "console output": "test_x261_kinds test_x57_consoles",
    "console owner": "test_x261_console_owner test_x57_consoles",
    "kill signal, timeout": "test_x254_kill_signal_and_timeout_are_for_the_job_and_not_for_systemd",
    "who is killed": "test_x254_who_is_killed test_x253_x255_a_child_with_a_session_of_its_own_survives_a_stop",
    "session/group leader": "test_x254_leader_of_a_session_and_a_group",
    "SIGPIPE default": "test_x254_sigpipe_has_its_default",
    "respawn": "test_x254_the_engine_respawns_and_systemd_does_not",
    "end of job": "test_x254_the_end_of_a_process_is_the_end_of_its_unit test_x254_a_job_without_a_main_process_has_no_unit",
    "start never times out": "test_x254_type_is_exec_and_start_never_times_out",
    "exit status": "test_x254_x259_x99_how_a_process_ended test_x259_fast_ends_all_count",
    "one member OOM-killed": "test_x254_oom_policy_and_tasks",
    "task limit": "test_x254_oom_policy_and_tasks",
    "apparmor switch": "test_x254_apparmor",
    "apparmor load": "test_x254_apparmor",
    "cgroup": "test_x148_every_row test_x148_scripts_have_the_same_limits test_x147_what_is_not_honoured_is_said_once_a_job",
    "utmp": "test_x254_utmp_is_the_engines_to_do",
    "debug stanza, UPSTART_FDS, script fd": "test_x261_the_debug_stanza_under_debug test_x261_descriptors_of_an_event "
                                            "test_x5_a_script_of_several_lines_comes_through_descriptor_9",
    "shutdown order": "test_x254_order_at_shutdown",
}
X261 = {
    "expect none": "test_x261_kinds",
    "expect fork/daemon/stop": "test_x261_forks test_x254_expect_stop_is_seen_by_the_tracer",
    "console none/log": "test_x254_console_none test_x254_console_log",
    "console output/owner": "test_x261_kinds test_x261_console_owner test_x57_consoles",
    "chroot with setuid/setgid, debug, UPSTART_FDS": "test_x261_kinds test_x261_the_debug_stanza_under_debug "
                                                     "test_x261_descriptors_of_an_event",
    "group kill, reload to pid": "test_x261_group_kill_and_reload",
    "visible in systemctl, per-job resource accounting": "test_x261_visible_and_accounted",
    "systemctl stop runs Upstart's stop sequence": "test_x252_x257_a_stop_by_systemctl_is_a_stop_of_the_job "
                                                   "test_x252_x260_a_scope_of_a_daemon_that_died_can_be_stopped",
    "exact spawn error texts": "test_x256_it_fails_the_same_way",
    "status survives engine crash": "test_x261_a_status_survives_the_daemon",
    "ppid 1": "test_x258_the_parent_is_pid_1 test_x261_kinds",
}


@pytest.mark.parametrize("table", ["X254", "X261"])
def test_every_row_has_its_tests(table: str) -> None:
    there = {name for path in _FOLDER.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)}
    rows = {"X254": X254, "X261": X261}[table]
    assert {row: [name for name in names.split() if name not in there] for row, names in rows.items()} == dict.fromkeys(rows, [])
    assert len(rows) == {"X254": 30, "X261": 11}[table]
