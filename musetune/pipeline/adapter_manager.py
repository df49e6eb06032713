"""The adapters of one pipeline: a theory adapter that makes the base obey, genre LoRAs that stack on it and swap in
an instant.
"""

from __future__ import annotations

import re
import shutil
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Unpack

import torch

from musetune.adapter import MusicAdapter, lora
from musetune.adapter.lora_files import Lora, read_lora, with_name
from musetune.adapter.merging import MergedWeights
from musetune.adapter.metadata import AdapterMetadata, read_adapter_metadata, short_name
from musetune.adapter.mixing import LoraMixer
from musetune.adapter.sampling import Sampling
from musetune.adapter.theory_digest import misfit
from musetune.hub.locate import find_adapter, is_lora
from musetune.hub.options import HubOptions
from musetune.symbols.remarks import remark

if TYPE_CHECKING:
    from diffusers import AudioLDM2UNet2DConditionModel
    from diffusers.schedulers.scheduling_utils import SchedulerMixin
    from torch import nn

THEORY = "theory"  # the name of an adapter without metadata
COMPANIONS = (
    "README.md",
    "notes.md",
    "training.json",
    "results.json",
    "sample.flac",
    "sample.json",
    "chart.png",
)  # files that travel with an adapter
# One lock a U-Net, whichever pipelines share it: weights that one call merges must not reach another
_LOCKS: weakref.WeakKeyDictionary[nn.Module, threading.RLock] = weakref.WeakKeyDictionary()
_NEW_LOCK = threading.Lock()


@dataclass(frozen=True)
class AdapterInfo:
    """A loaded adapter.

    Attributes:
        name: what ``set_adapter`` and ``unload_adapter`` call it.
        kind: "theory" or "lora" (a genre).
        genre: the genre that it learned, None where it does not say.
        base: the base that it was made for, None where it does not say.
        parameters: how many numbers it holds.
        weight: 0 is resident but silent, 1 as trained; up to 2.
        steps: denoising steps of an adapter for few steps, None of any other.
    """

    name: str
    kind: str
    genre: str | None
    base: str | None
    parameters: int
    weight: float
    steps: int | None = None


class AdapterHost(Protocol):
    """A pipeline as its AdapterManager sees it."""

    unet: AudioLDM2UNet2DConditionModel
    adapter: MusicAdapter | None
    loras: LoraMixer | None
    scheduler: SchedulerMixin
    base_name: str

    def register_modules(self, **modules: object) -> None:
        """Replace components of the pipeline."""


class AdapterManager:
    """Loads, mixes, fuses and saves the adapters of ``pipe``, whose components ``unet``, ``adapter`` and ``loras`` it
    reads and replaces.

    Calls that share a U-Net wait for each other, in every thread and every pipeline: outside of them its weights are
    the base's.
    """

    def __init__(self, pipe: AdapterHost) -> None:
        self.pipe = pipe
        self._fused: ExitStack | None = None
        self._folders: dict[str, Path] = {}  # where a loaded adapter's companions lie
        self._playing = 0  # contexts of `playing` that are open, all of the thread that holds the lock
        self._setting = (1.0, True)  # their strength and music
        self._merged = ExitStack()  # what the first of them merged
        self.merged_weights = MergedWeights()

    @property
    def unet(self) -> AudioLDM2UNet2DConditionModel:
        """The pipeline's U-Net itself, also where ``torch.compile`` wraps it."""
        return getattr(self.pipe.unet, "_orig_mod", self.pipe.unet)

    @property
    def sampling(self) -> Sampling | None:
        """How the LoRA of few steps that counts is to be sampled; None where none does."""
        return None if self.pipe.loras is None else self.pipe.loras.sampling

    @property
    def few_steps(self) -> AdapterMetadata | None:
        """Metadata of the LoRA of few steps that counts; None where none does."""
        return None if self.pipe.loras is None else self.pipe.loras.few_steps

    # -- what is loaded
    # ----------------------------------------------------------------------------------------------------

    def infos(self) -> dict[str, AdapterInfo]:
        """What is loaded, by name: the theory adapter first, then the genre LoRAs."""
        infos = {}
        adapter, loras = self.pipe.adapter, self.pipe.loras
        if adapter is not None:
            name, size = _name_of(adapter), sum(p.numel() for p in adapter.trainable_parameters())
            infos[name] = _info(name, "theory", adapter.metadata, size, 1.0)
        if loras is not None:
            for name, one in loras.loras.items():
                infos[name] = _info(name, "lora", one.metadata, one.parameters, loras.mix[name])
        return infos

    def load(self, adapter: str | Path | MusicAdapter, name: str | None = None, **hub: Unpack[HubOptions]) -> None:
        """Attach a theory adapter in place of the present one, or add a genre LoRA; see
        ``MuseTunePipeline.load_adapter``.
        """
        with self._changing(), torch.random.fork_rng(devices=[]):  # the caller's generator is left alone
            self.merged_weights.clear()
            if isinstance(adapter, MusicAdapter):
                self._attach(adapter, name)
                return
            folder = find_adapter(adapter, **hub)
            if is_lora(folder):
                self._stack(read_lora(folder), name or lora_name(adapter, folder), Path(folder))
            else:
                self._attach(MusicAdapter.from_pretrained(folder), name, Path(folder))

    def unload(self, name: str | None = None) -> None:
        """Forget the adapter ``name``, theory or genre; None: all of them."""
        with self._changing():
            self.merged_weights.clear()
            pipe = self.pipe
            adapter = pipe.adapter
            if theory := adapter is not None and name in (None, _name_of(adapter)):
                adapter.detach()
                pipe.register_modules(adapter=None)
            if name is None:
                pipe.register_modules(loras=None)
            elif not theory:
                (pipe.loras or LoraMixer()).remove(name)
                if pipe.loras is not None and not pipe.loras.loras:
                    pipe.register_modules(loras=None)

    def set(self, mix: str | Mapping[str, float] | None) -> None:
        """Let the genre LoRAs of ``mix`` count; see ``MuseTunePipeline.set_adapter``."""
        with self._changing():
            if not isinstance(mix, str | Mapping | None):
                raise ValueError(f"{mix!r} is no mix: give a name, or weights such as {{'jazz': 0.7, 'blues': 0.3}}")
            weights = {mix: 1.0} if isinstance(mix, str) else dict(mix or {})
            (self.pipe.loras or LoraMixer()).set(weights)

    def _attach(self, new: MusicAdapter, name: str | None, folder: Path | None = None) -> None:
        pipe = self.pipe
        if new.metadata is not None:
            new.metadata.check(self.unet)
        label = _name_of(new) if name is None else name
        if pipe.loras is not None and label in pipe.loras.loras:
            raise ValueError(f"a genre adapter is called {label!r}: give another name=…")
        # nn.Module's own `to`: ModelMixin's warns of float32 modules although there are none
        new = torch.nn.Module.to(new, self.unet.device, self.unet.dtype).eval()
        old = pipe.adapter
        if old is not None:
            old.detach()
        try:
            new.attach(self.unet)
        except BaseException:
            if old is not None:
                old.attach(self.unet)
                old.silence()
            raise
        if name is not None:
            new.metadata = (
                replace(new.metadata, name=name)
                if new.metadata
                else AdapterMetadata.of(self.unet, "theory", name, pipe.base_name)
            )
        new.silence()
        pipe.register_modules(adapter=new)
        self._remember(label, folder)
        for one in () if pipe.loras is None else pipe.loras.loras.values():
            self._remark_on_theory(one.metadata)

    def _stack(self, new: Lora, name: str, folder: Path) -> None:
        pipe = self.pipe
        if pipe.adapter is not None and name == _name_of(pipe.adapter):
            raise ValueError(f"the theory adapter is called {name!r}: give another name=…")
        new.check(self.unet)
        loras = pipe.loras or torch.nn.Module.to(LoraMixer(), self.unet.device, self.unet.dtype)
        loras.put(name, with_name(new, name))
        loras.set(loras.beside(name))
        pipe.register_modules(loras=loras)
        self._remember(name, folder)
        self._remark_on_theory(new.metadata)

    def _remark_on_theory(self, metadata: AdapterMetadata | None) -> None:
        """Say where a LoRA of few steps lies over another theory adapter than it was distilled over."""
        if metadata is not None and (text := misfit(metadata, self.pipe.adapter)) is not None:
            remark(text)

    def _remember(self, name: str, folder: Path | None) -> None:
        self._folders.pop(name, None)
        if folder is not None:
            self._folders[name] = folder

    # -- in the U-Net's weights
    # --------------------------------------------------------------------------------------------

    @contextmanager
    def playing(self, strength: float, *, music: bool) -> Iterator[None]:
        """A context in which the U-Net plays at ``strength`` with all that is active in its weights.

        With ``music`` the theory adapter counts too, without it only the genre LoRAs. After it the U-Net's weights
        are what they were, bit for bit. Other threads that want the same U-Net wait; contexts of one thread that
        overlap share what the first merged.

        Raises:
            ValueError: where a context of this thread is open that plays otherwise.
        """
        with self._lock():
            if self._playing and self._setting != (strength, music):
                raise ValueError(
                    "the pipeline is generating with another strength or without music: let that call end first"
                )
            if not self._playing:
                with ExitStack() as opening:  # closed again where one of them fails
                    opening.enter_context(self._merge(strength, music))
                    opening.enter_context(self._matching_scheduler())
                    self._setting, self._merged = (strength, music), opening.pop_all()
            self._playing += 1
            try:
                yield
            finally:
                self._playing -= 1
                if not self._playing:
                    self._merged.close()

    @contextmanager
    def _matching_scheduler(self) -> Iterator[None]:
        """A context in which the pipeline has the scheduler that a LoRA of few steps was distilled for, if one counts;
        after it its own.
        """
        sampling = self.sampling
        if sampling is None:
            yield
            return
        own = self.pipe.scheduler
        self.pipe.scheduler = sampling.scheduler(own.config)
        try:
            yield
        finally:
            self.pipe.scheduler = own

    @contextmanager
    def mixing(self, mix: Mapping[str, float] | None) -> Iterator[None]:
        """A context in which the genre LoRAs count as ``mix`` says, None as they do anyway; after it as before.

        Raises:
            ValueError: as ``set`` does.
        """
        with self._lock():
            if mix is None:
                yield
                return
            before = dict(self._mix())
            self.set(mix)
            try:
                yield
            finally:
                self.set(before)

    @contextmanager
    def _merge(self, strength: float, music: bool) -> Iterator[None]:
        """A context in which the LoRAs that count lie in the U-Net's weights."""
        adapter = self.pipe.adapter
        try:
            if adapter is not None:
                adapter.wrap_processors()
            in_fused = adapter is not None and adapter.has_lora  # the theory adapter's LoRA is part of what is fused
            if self._fused is not None and strength == 1.0 and (music or not in_fused):
                yield
                return
            with self.unfused():
                if adapter is not None:
                    adapter.strength = strength if music else 0.0
                with self.merged_weights.playing(self.unet, self._deltas(strength)):
                    yield
        finally:
            if adapter is not None:
                adapter.silence()

    def fuse(self) -> None:
        """Add all active LoRAs into the U-Net's weights; see ``MuseTunePipeline.fuse_adapter``."""
        with self._changing():
            self._fuse()

    def unfuse(self) -> None:
        """Give the U-Net its own weights back; see ``MuseTunePipeline.unfuse_adapter``."""
        with self._lock():
            self._check_idle()
            self._unfuse()

    def _fuse(self) -> None:
        adapter = self.pipe.adapter
        if not (adapter is not None and adapter.has_lora) and not any(self._mix().values()):
            raise ValueError("there is no active LoRA to fuse: load_adapter(…) or set_adapter(…) first")
        if adapter is not None:
            adapter.strength = 1.0
        fused = ExitStack()
        fused.enter_context(self.merged_weights.playing(self.unet, self._deltas(1.0)))
        self._fused = fused

    def _unfuse(self) -> None:
        if self._fused is None:
            raise ValueError("nothing is fused: fuse_adapter() first")
        self._fused.close()
        self._fused = None

    @contextmanager
    def unfused(self) -> Iterator[None]:
        """A context in which nothing is fused."""
        with self._lock():
            fused = self._fused is not None
            if fused:
                self._unfuse()
            try:
                yield
            finally:
                if fused:
                    self._fuse()

    @contextmanager
    def detached(self) -> Iterator[None]:
        """A context in which the U-Net is the plain base, without the theory adapter."""
        with self.unfused():
            adapter = self.pipe.adapter
            if adapter is not None:
                adapter.detach()
            try:
                yield
            finally:
                if adapter is not None:
                    adapter.attach(self.unet)
                    adapter.silence()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """A context in which adapters may change: nothing plays, nothing is fused."""
        with self._lock():
            self._check_idle()
            if self._fused is not None:
                raise ValueError("the adapters are fused into the U-Net's weights: unfuse_adapter() first")
            yield

    def check_changeable(self) -> None:
        """Raise ValueError while something plays or is fused: weights may not be cast then."""
        with self._changing():
            pass

    def _check_idle(self) -> None:
        if self._playing:
            raise ValueError("the pipeline is generating: change adapters after the call, not from its callback")

    def _lock(self) -> threading.RLock:
        with _NEW_LOCK:
            return _LOCKS.setdefault(self.unet, threading.RLock())

    def _mix(self) -> Mapping[str, float]:
        return {} if self.pipe.loras is None else self.pipe.loras.mix

    def _deltas(self, strength: float) -> dict[str, list[lora.LoraDelta]]:
        return {} if self.pipe.loras is None else self.pipe.loras.parts(strength)

    # -- on disk
    # -----------------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path, name: str | None = None) -> Path:
        """Write an adapter as the Hub holds it; see ``MuseTunePipeline.save_adapter``."""
        pipe, target = self.pipe, Path(folder)
        name = name or self._the_active_one()
        target.mkdir(parents=True, exist_ok=True)
        with self.unfused():
            if pipe.adapter is not None and name == _name_of(pipe.adapter):
                pipe.adapter.metadata = pipe.adapter.metadata or AdapterMetadata.of(
                    self.unet, "theory", name, pipe.base_name
                )
                pipe.adapter.save_pretrained(target)
            else:
                one = (pipe.loras or LoraMixer()).get(name)
                replace(
                    one, metadata=one.metadata or AdapterMetadata.of(self.unet, "lora", name, pipe.base_name)
                ).write(target)
        source = self._folders.get(name)
        if source is not None and source.resolve() != target.resolve():
            for file in COMPANIONS:
                if (source / file).is_file():
                    shutil.copy(source / file, target / file)
        return target

    def _the_active_one(self) -> str:
        """The adapter that is meant where none is named."""
        active = [name for name, weight in self._mix().items() if weight]
        if len(active) > 1:
            raise ValueError(f"several adapters are active, {', '.join(active)}: give name=…")
        if active:
            return active[0]
        if self.pipe.adapter is None:
            raise ValueError("no adapter is active: give name=…, or load_adapter(…) first")
        return _name_of(self.pipe.adapter)


def lora_name(name_or_path: str | Path, folder: str | Path) -> str:
    """The name of the LoRA in ``folder``: as its metadata says, else made of what the user asked for."""
    metadata = read_adapter_metadata(folder)
    return (
        metadata.name
        if metadata
        else re.sub(r"[^\w-]+", "-", short_name(name_or_path).split("/")[-1]).strip("-") or "lora"
    )


def _name_of(adapter: MusicAdapter) -> str:
    return THEORY if adapter.metadata is None else adapter.metadata.name


def _info(name: str, kind: str, metadata: AdapterMetadata | None, parameters: int, weight: float) -> AdapterInfo:
    genre, base = (None, None) if metadata is None else (metadata.genre, metadata.base)
    sampling = None if metadata is None else metadata.sampling
    return AdapterInfo(name, kind, genre, base, parameters, weight, None if sampling is None else sampling.steps)
