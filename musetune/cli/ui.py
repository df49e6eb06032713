"""`musetune ui`: the web page."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from musetune.pipeline.pipeline import MuseTunePipeline

KEY_VARIABLE = "MUSETUNE_API_KEY"

HELP = """Open the web page: type chords, generate, watch them go by; listen to a song and play its progression anew;
compare takes, blind.

--server URL lets a running `musetune serve` generate, edit and analyse; this machine then loads no models. A key, where
the service asks for one, comes in MUSETUNE_API_KEY. Live alone needs a pipeline here.

It is served to this machine alone; --host 0.0.0.0 lets others in, by this machine's name or number; behind a
proxy with another name add --allow-host NAME.

Needs the extra \\[ui]: pip install "musetune\\[ui]"

Examples:

  musetune ui --port 7861 --no-open

  MUSETUNE_API_KEY=$KEY musetune ui --server http://studio.example.org:8000
"""


def ui(
    host: Annotated[str, typer.Option(help="address to serve on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to serve on", min=1, max=65535)] = 7860,
    base: Annotated[str, typer.Option(help="nano, a folder, or a Hub id such as cvssp/audioldm2")] = "nano",
    adapter: Annotated[
        str | None, typer.Option(help="bundled name, folder or Hub id; default the base's own, else theory")
    ] = None,
    device: Annotated[str | None, typer.Option(help="such as cpu or cuda:1; default cuda where there is one")] = None,
    server: Annotated[
        str | None, typer.Option(help="a musetune serve that does the work, such as http://127.0.0.1:8000")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="a further name by which the page may be opened, more than once")
    ] = None,
    compare: Annotated[
        Path, typer.Option(help="folder of the Compare tab's pairs and verdicts; made when there is something in it")
    ] = Path("out/compare"),
    mono16: Annotated[
        bool, typer.Option("--mono16", help="play and write the base's own 16 kHz mono instead of 48 kHz stereo")
    ] = False,
    engine: Annotated[
        list[Path] | None,
        typer.Option(
            help="folder of musetune export onnx: the U-Net in OpenVINO, else ONNX Runtime; more than once, such as "
            "one that was exported with --fast, for Live, and one without. Other mixes of genres are refused",
            file_okay=False,
        ),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="open it in the browser")] = True,
) -> None:
    check_port(host, port)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        from musetune.serve.page import Page, launch
    except ImportError as error:
        raise ImportError(f'the web page needs gradio: pip install "musetune[ui]" ({error})') from error
    from musetune.serve.remote import RemoteAnalyser, connect
    from musetune.serve.remote_pipeline import RemotePipeline
    from musetune.serve.work import load

    pipe: MuseTunePipeline | RemotePipeline
    analyser: RemoteAnalyser | None = None
    if server is None:
        pipe = load(base, adapter, device, mono16=mono16, few_steps=True, engines=engine or ())
    elif base == "nano" and adapter is None and device is None and not mono16 and not engine:
        pipe, analyser = connect(server, os.environ.get(KEY_VARIABLE))
    else:
        raise ValueError("--server has its own models: leave --base, --adapter, --device, --mono16 and --engine out")
    with tempfile.TemporaryDirectory(prefix="musetune-ui-") as folder:
        takes = Path(folder) / "takes"
        takes.mkdir()
        typer.echo(f"http://{host}:{port}  (Ctrl+C ends it)")
        launch(
            Page(pipe, takes, compare, analyser), host, port, open_browser=open_browser, allow_hosts=allow_host or []
        )


def check_port(host: str, port: int) -> None:
    """Raise OSError, which names the port and a free one, where nothing can be served there: before models load."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise OSError(f"--host {host}: no such address ({error.strerror})") from error
    if (reason := _refusal(family, kind, address)) is None:
        return
    if reason.errno != errno.EADDRINUSE:
        raise OSError(f"--host {host} --port {port} cannot be served on: {reason.strerror}") from reason
    others = (number for number in range(port + 1, min(port + 20, 65536)))
    free = next((n for n in others if _refusal(family, kind, (address[0], n, *address[2:])) is None), None)
    hint = "" if free is None else f", or take another: --port {free}"
    raise OSError(f"port {port} is in use by another program: end that{hint}") from reason


def _refusal(family: int, kind: int, address: tuple) -> OSError | None:
    """Why an address cannot be listened on; None where it can."""
    with socket.socket(family, kind) as listener:
        if os.name == "posix":  # what a program that just ended has left is no hindrance, as for the server itself
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(1)
        except OSError as error:
            return error
    return None
