"""What is told of a worker process that died: the signal, and whether it was for want of memory."""

from pathlib import Path

import pytest

from fastmlp.sweep.deaths import WorkerDied, memory_kills


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (3, "ended with exit status 3"),
        (-9, "was killed by SIGKILL (by hand, or by the system for want of memory)"),
        (-11, "was killed by SIGSEGV (a fault in compiled code, or a full stack)"),
        (-7, "was killed by SIGBUS (a mapped file was cut short, or its disk is full or broken)"),
        (-4, "was killed by SIGILL (an instruction that this CPU does not have)"),
        (-10, "was killed by SIGUSR1"),
        (-63, "was killed by signal 63"),
    ],
)
def test_a_status_is_told_in_words(status: int, words: str) -> None:
    assert str(WorkerDied(status)) == words


def test_only_a_kill_while_the_system_killed_is_for_memory() -> None:
    assert str(WorkerDied(-9, short=True)) == "was killed by SIGKILL (by the system for want of memory)"
    assert not WorkerDied(-11, short=True).for_memory
    assert not WorkerDied(-9).for_memory


TWO = "9:name=systemd:/\n4:memory:/some/group\n1:cpu,cpuacct:/\n0::/some/group\n"


@pytest.mark.parametrize(
    ("groups", "counter", "text"),
    [
        (TWO, "sys/fs/cgroup/memory/some/group/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"),
        (TWO, "sys/fs/cgroup/memory/memory.oom_control", "oom_kill 7\n"),
        ("0::/some/group\n", "sys/fs/cgroup/some/group/memory.events", "low 0\noom 9\noom_kill 7\noom_group_kill 0\n"),
        ("0::/../other\n", "sys/fs/cgroup/memory.events", "oom_kill 7\n"),
        ("0::/\n", "proc/vmstat", "nr_free_pages 1\noom_kill 7\n"),
    ],
)
def test_the_systems_own_count_is_read_where_it_is(tmp_path: Path, groups: str, counter: str, text: str) -> None:
    assert memory_kills(tmp_path) == 0  # no Linux
    for name, content in (("proc/self/cgroup", groups), (counter, text)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert memory_kills(tmp_path) == 7
    (tmp_path / counter).write_text("nothing of the kind\n")
    assert memory_kills(tmp_path) == 0
