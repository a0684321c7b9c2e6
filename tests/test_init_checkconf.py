"""init-checkconf: is a job file right (B163-B167, B278)."""
from __future__ import annotations

import pathlib
from typing import List, Tuple

import pytest

from compat.init_checkconf import main

GOOD = "start on filesystem\nexec foo\n"


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "good.conf").write_text(GOOD)
    return tmp_path


def check(capfd: pytest.CaptureFixture[str], *arguments: object) -> Tuple[int, str, str]:
    status = main([str(each) for each in arguments])
    said = capfd.readouterr()
    return status, said.out, said.err


def test_b165_a_good_file(folder: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "good.conf"
    for arguments in ([path], ["-f", path], [f"-f{path}"], [f"--file={path}"], ["--fil", path], ["-file", path], ["-ds", path],
                      ["-i", "/sbin/initctl", "-x/sbin/upstart", path], ["--", path]):
        assert check(capfd, *arguments) == (0, f"File {path}: syntax ok\n", ""), arguments


def test_b163_what_is_unknown_is_said_and_passed_over(folder: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "good.conf"
    status, out, err = check(capfd, "--bad", path, "-z", "--=x")
    assert (status, out) == (0, f"File {path}: syntax ok\n")
    assert err.splitlines() == [f"init-checkconf: unrecognized option '{each}'" for each in ("--bad", "-z", "--=x")]
    assert check(capfd, path, "--file")[2] == "init-checkconf: option '--file' requires an argument\n"


def test_b167_help_is_no_failure(capfd: pytest.CaptureFixture[str]) -> None:
    status, out, err = check(capfd, "--help")
    assert status == 0 and out.startswith("Usage: init-checkconf [OPTION]... FILE...") and err == ""


@pytest.mark.parametrize(("name", "text", "expected"), [
    ("bad.conf", "stopp on x\n", "syntax invalid:\ninit:bad.conf:1: Unknown stanza"),
    ("none.conf", None, "does not exist"),
    ("job.txt", GOOD, "File must end in .conf")])
def test_b165_a_file_that_is_not_right(
        folder: pathlib.Path, capfd: pytest.CaptureFixture[str], name: str, text: "str | None", expected: str) -> None:
    path = folder / name
    if text is not None:
        path.write_text(text)
    whole = expected if expected.startswith("File") else f"File {path}: {expected}".replace(": does", " does")
    assert check(capfd, path) == (1, "", f"ERROR: {whole}\n")


def test_b165_without_a_file(capfd: pytest.CaptureFixture[str]) -> None:
    assert check(capfd) == (1, "", "ERROR: Must specify configuration file\n")


@pytest.mark.parametrize(("text", "section", "line"), [
    ("pre-start script\n  if true; then\nend script\nexec foo\n", "pre-start", "3"),
    ("# one\n\nscript\n  echo )\nend script\n", "script", "4"),
    ("exec true\npost-stop script\n  fi\nend script\n", "post-stop", "3"),
    ("exec foo && ( bar\n", "script", "")])
def test_b166_b167_scripts_and_commands(
        folder: pathlib.Path, capfd: pytest.CaptureFixture[str], text: str, section: str, line: str) -> None:
    path = folder / "job.conf"
    path.write_text(text)
    status, out, err = check(capfd, path)
    first, second = err.splitlines()[:2]
    assert (status, out, first) == (1, "", f"ERROR: File {path}: shell syntax invalid in {section} section:")
    assert second.startswith(f"job.conf:{line}: " if line else "job.conf: ") and "yntax error" in second
    assert check(capfd, "-s", path)[0] == 0


def test_b166_words_in_commands_are_no_sections(folder: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "job.conf"
    path.write_text("exec /usr/bin/run script if (\n".replace("(", "x"))
    assert check(capfd, path)[0] == 0


def test_b167_several_files_and_an_override(folder: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "good.override").write_text("manual\nexec foo ${bar\n")
    (folder / "alone.override").write_text("env A=1\n")
    (folder / "bad.conf").write_text("respawn limit x\n")
    status, out, err = check(capfd, folder / "good.conf", folder / "good.override", folder / "bad.conf", folder / "alone.override")
    assert status == 1
    assert out.splitlines() == [f"File {folder}/{name}: syntax ok" for name in ("good.conf", "alone.override")]
    assert f"File {folder}/good.override: shell syntax invalid in script section" in err and "bad.conf:1: Illegal limit" in err
    # What is wrong in the job's own file is not said of the override.
    (folder / "good.conf").write_text("exec foo ${bar\n")
    (folder / "good.override").write_text("env A=1\n")
    assert check(capfd, folder / "good.override")[0] == 0


def test_b278_what_conditions_wait_for_in_vain(folder: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "job.conf"
    path.write_text("start on local-filesystem or started good\nstop on runlevel [!12345]\nexec foo\n")

    def warnings(kind: str, *files: pathlib.Path) -> List[str]:
        status, _, err = check(capfd, f"--host={kind}", *files)
        assert status == 0
        return err.splitlines()

    in_vain = "WARNING: job: start on local-filesystem: nothing on this host emits this event (did you mean local-filesystems?)"
    assert warnings("container", path, folder / "good.conf") == [in_vain]
    alone = warnings("container", path)
    assert alone[0] == in_vain and "there is no job good" in alone[1] and len(alone) == 2
    assert check(capfd, "--host=vms", path) == (1, "", "ERROR: Unknown kind of host: vms\n")
