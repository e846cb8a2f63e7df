"""The main loop of a worker process: it takes calls from its parent, one after the other, and answers each.

Calls and answers go through two pipes, which the system closes when a process ends or is killed: no semaphores, no
shared memory, no third process that tidies up.
"""

import os
import pickle
import signal
import sys
from typing import IO, Any

# Asks to end, which a process that is not yet set up would not outlive: they are held until it is.
HELD = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}


# What a process says first: before it, whatever else begins with an interpreter may have printed something.
BEGINS = b"\0fastmlp answers\0"


def skip_to_answers(pipe: IO[bytes]) -> None:
    """Read a pipe up to the mark after which a worker's answers begin; EOFError where it never comes."""
    read = b""
    while read != BEGINS:
        if not (byte := pipe.read(1)):
            raise EOFError
        read = (read + byte)[-len(BEGINS) :]


def send(pipe: IO[bytes], value: Any) -> None:
    """Write a value, for `receive` at the other end of the pipe."""
    content = pickle.dumps(value)  # first: what cannot be sent must not be begun
    pipe.write(len(content).to_bytes(8, "little"))
    pipe.write(content)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Return the next value that `send` wrote; EOFError where the other end is closed or its process dead."""
    head = pipe.read(8)
    content = pipe.read(int.from_bytes(head, "little"))
    if len(head) < 8 or len(content) < int.from_bytes(head, "little"):
        raise EOFError
    return pickle.loads(content)  # noqa: S301 - of our own process


def main(threads: int, parent: int) -> None:
    """Set this process up, report that, and answer calls until the parent closes the pipe; threads : of each call."""
    try:
        _serve(threads, parent)
    except BrokenPipeError:  # the parent is gone, and there is nobody to tell
        os._exit(1)


def _serve(threads: int, parent: int) -> None:
    calls, answers = _own_pipes()
    answers.write(BEGINS)  # with the first of them
    try:
        from fastmlp.sweep.processes import begin_worker

        begin_worker(threads, parent)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
    except BaseException as error:
        send(answers, (False, f"{type(error).__name__}: {error}"))
        return
    send(answers, (True, None))
    while True:
        try:
            call = receive(calls)
        except EOFError:
            return
        except BaseException as error:  # of a module that is not here
            send(answers, (False, _sendable(error)))
            continue
        try:
            answer = True, call[0](*call[1], **call[2])
        except BaseException as error:
            answer = False, _sendable(error)
        try:
            send(answers, answer)
        except BrokenPipeError:
            raise
        except BaseException as error:  # what cannot be pickled
            send(answers, (False, _sendable(error)))
        del call, answer  # a process that waits holds nothing


def _own_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Return the pipes at standard input and output, and replace those: a library's print would count as an answer."""
    calls, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    try:
        os.dup2(2, 1)
    except OSError:  # there is no standard error
        os.dup2(0, 1)
    sys.stdout = sys.stderr
    return calls, answers


def _sendable(error: BaseException) -> BaseException:
    """Return an error or, where it cannot be pickled, one with the same message."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
