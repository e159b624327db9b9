"""Serve the chat page over corpus/ and index/. HOST, PORT and AUTH=用户:密码 override the defaults."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Serve until interrupted; 1 with the reason on standard error when that is not possible."""
    from askai.errors import AskaiError, InputError
    from askai.ui.page import launch

    port = os.environ.get("PORT") or "7860"
    user, colon, password = os.environ.get("AUTH", "").partition(":")
    try:
        if not port.isdecimal():
            raise InputError(f"环境变量 PORT={port} 不是端口号。请写一个数字，例如 PORT=7860。")
        auth = (user, password) if user and colon and password else None
        if os.environ.get("AUTH") and auth is None:
            raise InputError("环境变量 AUTH 写得不对。请写成 AUTH=用户:密码。")
        # The folders beside this file, under the names that the command line uses for them too.
        os.chdir(HERE)
        launch(Path("corpus"), Path("index"), os.environ.get("HOST") or "127.0.0.1", int(port), auth)
    except AskaiError as error:
        sys.stderr.write(f"错误：{error}\n")
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
