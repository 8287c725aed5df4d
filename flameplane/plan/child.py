"""Runs in a process of its own: the program (as ``pulumi-language-python-exec`` would) or the policy pack (as
``python -m pulumi.policy``). Started by path, so that nothing of ours but this file is imported there.

Its stdin is a lifeline: when the parent is gone, however it ended, this process ends as well.
"""

import argparse
import asyncio
import logging
import os
import runpy
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

THREADS = 16  # of the program's event loop; the engine takes four times its --parallel
SHOWN = 32  # exit code: the error has been reported already


def main() -> None:
    """``child.py program|pack ...``"""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    kind = sys.argv.pop(1)
    if kind == "pack":
        sys.path.insert(0, "")  # as -m does
        runpy.run_module("pulumi.policy", run_name="__main__", alter_sys=True)
    else:
        _run_program()


def _end_with_parent() -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock would be held when the interpreter shuts down
        pass
    os._exit(1)


def _run_program() -> None:
    options = argparse.ArgumentParser()
    for name in ("monitor", "engine", "project", "stack", "organization", "root"):
        options.add_argument(f"--{name}", required=True)
    args = options.parse_args()
    import pulumi.runtime  # noqa: PLC0415  # the pack's process must not load it before pulumi.policy does

    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    settings = pulumi.runtime.Settings(
        project=args.project,
        stack=args.stack,
        monitor=args.monitor,
        engine=_engine(args.engine),
        parallel=THREADS // 4,
        dry_run=True,
        organization=args.organization,
        root_directory=args.root,
    )
    pulumi.runtime.configure(settings)
    sys.argv = [args.root]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(THREADS)
    loop.set_default_executor(executor)
    # Futures nobody awaits are normal after a failure in a Pulumi program; asyncio would complain about each.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    code = 1
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _run_main(args.root)))
        code = 0
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
    except Exception:
        pulumi.log.error(_user_traceback(args.root))
        code = SHOWN
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    sys.exit(code)


def _run_main(root: str) -> None:
    runpy.run_path(root, run_name="__main__")


def _user_traceback(root: str) -> str:
    """The current exception from the program's first own frame on; files of the project by their relative path."""
    error = sys.exc_info()[1]
    assert error
    frames = traceback.extract_tb(error.__traceback__)
    first = next((i for i, f in enumerate(frames) if _is_own(f.filename, root)), len(frames))
    shown = traceback.format_list(frames[first:])
    text = "".join(shown + traceback.format_exception_only(type(error), error))
    return text.replace(root + os.sep, "").rstrip()


def _is_own(file: str, root: str) -> bool:
    """Whether a file is the project's; this one is not the program's, even when the project is Flameplane itself."""
    return file.startswith(root + os.sep) and "site-packages" not in file and file != __file__


def _engine(address: str) -> Any:
    """A stub that drops debug messages here: the SDK sends about six per resource, each a blocking call."""
    import grpc  # type: ignore[import-untyped] # noqa: PLC0415
    from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc  # noqa: PLC0415

    stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))
    send = stub.Log

    def log(request: Any, *args: Any, **kwargs: Any) -> Any:
        return None if request.severity == engine_pb2.DEBUG else send(request, *args, **kwargs)

    stub.Log = log
    return stub


if __name__ == "__main__":
    main()
