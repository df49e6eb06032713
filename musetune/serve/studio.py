"""What all tabs of the page share: the pipeline, the folder of takes, and the turn of the work."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import WeakValueDictionary

import gradio as gr
from gradio.context import LocalContext

from musetune.analysis.service.worker import AnalysisWorker
from musetune.serve.errand import Errand
from musetune.serve.guard import Audience
from musetune.serve.live_session import LiveStage
from musetune.serve.work import genres_of

if TYPE_CHECKING:
    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.serve.remote import RemoteAnalyser
    from musetune.serve.remote_pipeline import RemotePipeline

Result = TypeVar("Result")
ONE_AT_A_TIME: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "work"}  # for every event that works long
PRIVATE: dict[str, Any] = {"queue": False, "api_visibility": "private"}  # for an event that only fills fields


def while_typing(changes: Sequence[Any], answer: Callable[..., Any], inputs: Any, outputs: Any, **options: Any) -> None:
    """Answer every change of fields; of the changes that come while an answer is on its way, only the last.

    The browser hears the change with a step of its own, and asks the server in a second one. Gradio tells *all* that
    hear an event of its repetition: two answers to one field, each waiting for the last change, would call each other
    without end.

    Args:
        changes: the ``change`` of each field.
        answer: what the server does; takes the values of ``inputs`` and gives those of ``outputs``.
        inputs: components.
        outputs: components.
        options: more arguments of a Gradio event, such as ``api_name``.
    """
    quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden"}
    heard = gr.on(changes, None, js="() => []", trigger_mode="multiple", api_visibility="private", **quiet)
    heard.then(answer, inputs, outputs, trigger_mode="always_last", **quiet, **options)


class Studio:
    """The pipeline, the folder of takes, and what keeps long work one at a time.

    Attributes:
        pipe: the pipeline that generates, here or at a service.
        folder: where takes are written; the page may give away every file in it.
        genres: names of the genre adapters, in the order of their sliders.
        turn: the lock that every long piece of work holds.
        analyser: what analyses songs: a process, or a service.
        stage: where somebody plays live, who then has the turn.
        audience: who can be told how far the work is; the server fills it.
    """

    def __init__(
        self, pipe: MuseTunePipeline | RemotePipeline, folder: Path, analyser: RemoteAnalyser | None = None
    ) -> None:
        self.pipe: Any = pipe  # either kind, for those who ask it for more than both can do
        self.folder, self.genres = folder, genres_of(self.pipe)
        self.turn, self.analyser = threading.Lock(), analyser or AnalysisWorker()
        self.stage = LiveStage(cast("MuseTunePipeline", pipe), self.turn)  # which asks whether it can stream
        self.audience = Audience()
        self._tickets, self._cancelled = itertools.count(1), set[int]()
        self._at_work: WeakValueDictionary[int, Errand[Any]] = WeakValueDictionary()

    def ticket(self) -> int:
        """A number for work that is about to be asked for, by which it can be cancelled."""
        return next(self._tickets)

    def cancel(self, ticket: int | None) -> bool:
        """Stop the work of a ticket, or see that it never starts.

        Returns:
            Whether it is at work; then it ends itself, and who iterates is told.
        """
        if ticket is None:
            return False
        self._cancelled.add(ticket)
        errand = self._at_work.get(ticket)
        running = errand is not None and not errand.done
        if errand is not None:
            errand.cancel()
        return running

    def is_cancelled(self, ticket: int | None) -> bool:
        """Whether work of a ticket must not start."""
        return ticket in self._cancelled

    def errand(
        self,
        work: Callable[[Errand[Result]], Result],
        request: gr.Request | None = None,
        ticket: int | None = None,
    ) -> Errand[Result]:
        """Long work that waits for its turn, reports as it goes on, and stops when nobody waits for it.

        Args:
            work: what is to be done; calls ``check`` of its errand often.
            request: the client's; the work stops soon after the client has gone. None: whoever iterates is there.
            ticket: by which it can be cancelled; None: it cannot.
        """
        session, event = getattr(request, "session_hash", None), LocalContext.event_id.get(None)
        present = (lambda: True) if session is None else (lambda: self.audience.has(session, event))
        errand = Errand(work, self.turn, present)
        if self.stage.busy:
            self.stage.give_way()
            errand.progress = "waiting until Live stops"
        if ticket is not None:
            self._at_work[ticket] = errand
        return errand
