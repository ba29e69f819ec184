"""structlog, loaded without rich.

It loads rich wherever that is installed, for tracebacks that are not used here, and every command would wait
for it. Its documented fallback is the plain formatter.
"""

import sys

if "rich" in sys.modules:
    import structlog
else:
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python is told that a module is not there
    try:
        import structlog
    finally:
        del sys.modules["rich"]

from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

__all__ = ["EventDict", "ExcInfo", "Processor", "WrappedLogger", "structlog"]
