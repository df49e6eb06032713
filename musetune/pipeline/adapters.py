"""What a pipeline does with adapters: one theory adapter that makes the base obey, genre LoRAs that stack on it and swap in an instant."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from musetune.adapter import MusicAdapter, lora
from musetune.adapter.lora_files import Lora, named, read_lora
from musetune.adapter.metadata import AdapterMetadata, read_adapter_metadata, short_name
from musetune.adapter.mixing import LoraMixer
from musetune.hub.locate import find_adapter, is_lora
from musetune.pipeline.folders import CUSTOM_PIPELINE, write_reference

if TYPE_CHECKING:
    from diffusers import AudioLDM2UNet2DConditionModel

THEORY = "theory"  # what an adapter without a card is called
STORY = (
    "README.md",
    "notes.md",
    "training.json",
    "results.json",
    "sample.flac",
    "sample.json",
    "chart.png",
)  # what goes on with an adapter


@dataclass(frozen=True)
class AdapterInfo:
    """kind: theory or lora; base: what it was made for, None where it does not say; weight: 0 is resident but silent, 1 as trained."""

    name: str
    kind: str
    genre: str | None
    base: str | None
    parameters: int
    weight: float


class Adapters:
    """A mixin of the pipeline, which has the components unet, adapter (a MusicAdapter) and loras (a LoraMixer), both optional."""

    unet: AudioLDM2UNet2DConditionModel
    adapter: Any  # a MusicAdapter or None
    loras: LoraMixer | None
    base_name: str = "unknown"
    base_revision: str | None = None
    _fused: ExitStack | None = None
    _sources: Mapping[str, Path] = MappingProxyType({})  # where an adapter's story lies

    def load_adapter(self, adapter: str | Path | MusicAdapter, name: str | None = None, **hub: Any) -> None:
        """Attach a theory adapter in place of the present one, or add a genre LoRA, which is active alone then; the base stays loaded.

        adapter: a folder, a bundled name, a Hub id, or a MusicAdapter. A genre LoRA: ours, or any for this U-Net by peft or diffusers.
        name: what to call it, by default as its card says, else as its folder or repository; a LoRA of that name is replaced.
        hub: revision, token, cache_dir, local_files_only. Raises ValueError that says what differs, and changes nothing, where it was made for another
        U-Net.
        """
        self._not_fused()
        if isinstance(adapter, MusicAdapter):
            self._attach(adapter, name)
            return
        folder = find_adapter(adapter, **hub)
        if is_lora(folder):
            self._stack(read_lora(folder), name or lora_name(adapter, folder), Path(folder))
        else:
            self._attach(MusicAdapter.from_pretrained(folder), name, Path(folder))

    def _attach(self, new: MusicAdapter, name: str | None, source: Path | None = None) -> None:
        if new.card is not None:
            new.card.check(self.unet)
        called = _called(new) if name is None else name
        if self.loras is not None and called in self.loras.loras:
            raise ValueError(f"a genre adapter is called {called!r}: give another name=…")
        # nn.Module's own `to`: ModelMixin's warns of float32 modules although there are none
        new = torch.nn.Module.to(new, self.unet.device, self.unet.dtype).eval()
        old = self.adapter
        if old is not None:
            old.detach()
        try:
            new.attach(self.unet)
        except ValueError:
            if old is not None:
                old.attach(self.unet)
            raise
        if name is not None:
            new.card = (
                replace(new.card, name=name)
                if new.card
                else AdapterMetadata.of(self.unet, "theory", name, self.base_name)
            )
        self.register_modules(adapter=new)  # type: ignore[attr-defined]
        self._remember(called, source)

    def _stack(self, new: Lora, name: str, source: Path) -> None:
        if self.adapter is not None and name == _called(self.adapter):
            raise ValueError(f"the theory adapter is called {name!r}: give another name=…")
        new.check(self.unet)
        shelf = self.loras or torch.nn.Module.to(LoraMixer(), self.unet.device, self.unet.dtype)
        shelf.put(name, named(new, name))
        shelf.set({name: 1.0})
        self.register_modules(loras=shelf)  # type: ignore[attr-defined]
        self._remember(name, source)

    def set_adapter(self, mix: str | Mapping[str, float] | None) -> None:
        """Which genre LoRAs count: one, several with weights 0–2 such as {"jazz": 0.7, "blues": 0.3}, or None: the theory adapter alone."""
        self._not_fused()
        weights = {mix: 1.0} if isinstance(mix, str) else dict(mix or {})
        (self.loras or LoraMixer()).set(weights)

    @property
    def adapters(self) -> dict[str, AdapterInfo]:
        """What is loaded, by name: the theory adapter first, then the genre LoRAs."""
        found = {}
        if self.adapter is not None:
            name, size = _called(self.adapter), sum(p.numel() for p in self.adapter.trainable_parameters())
            found[name] = _info(name, "theory", self.adapter.card, size, 1.0)
        if self.loras is not None:
            for name, one in self.loras.loras.items():
                found[name] = _info(name, "lora", one.card, one.parameters, self.loras.mix[name])
        return found

    def unload_adapter(self, name: str | None = None) -> None:
        """Forget the adapter ``name``, theory or genre; None: all of them, the plain base again."""
        self._not_fused()
        theory = self.adapter is not None and name in (None, _called(self.adapter))
        if theory:
            self.adapter.detach()
            self.register_modules(adapter=None)  # type: ignore[attr-defined]
        if name is None:
            self.register_modules(loras=None)  # type: ignore[attr-defined]
        elif not theory:
            (self.loras or LoraMixer()).remove(name)
            if self.loras is not None and not self.loras.loras:
                self.register_modules(loras=None)  # type: ignore[attr-defined]

    def fuse_adapter(self) -> None:
        """Add all active LoRAs into the U-Net's weights until ``unfuse_adapter``: calls need not do it each time. Keeps a copy of the weights.

        Calls of another strength, and those without music, still get what they ask for. Raises ValueError where there is nothing to fuse.
        """
        self._not_fused()
        if not (self.adapter is not None and self.adapter.has_lora) and not any(self._mix().values()):
            raise ValueError("there is no active LoRA to fuse: load_adapter(…) or set_adapter(…) first")
        if self.adapter is not None:
            self.adapter.strength = 1.0
        fused = ExitStack()
        fused.enter_context(lora.merged(self.unet, self._parts(1.0)))
        self._fused = fused

    def unfuse_adapter(self) -> None:
        """The U-Net's own weights again, bit for bit. Raises ValueError where nothing is fused."""
        if self._fused is None:
            raise ValueError("nothing is fused: fuse_adapter() first")
        self._fused.close()
        self._fused = None

    unfuse = unfuse_adapter

    def save_adapter(self, folder: str | Path, name: str | None = None) -> Path:
        """Write an adapter as the Hub holds it, with its identity card. name: default the active genre LoRA, else the theory adapter.

        Raises ValueError where several are active, or none is loaded.
        """
        name, place = name or self._the_adapter(), Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        with self._apart():
            if self.adapter is not None and name == _called(self.adapter):
                self.adapter.card = self.adapter.card or AdapterMetadata.of(self.unet, "theory", name, self.base_name)
                self.adapter.save_pretrained(place)
            else:
                one = (self.loras or LoraMixer()).known(name)
                replace(one, card=one.card or AdapterMetadata.of(self.unet, "lora", name, self.base_name)).write(place)
        source = self._sources.get(name)
        for file in STORY if source is not None and source.resolve() != place.resolve() else ():
            if (source / file).is_file():  # type: ignore[operator]
                shutil.copy(source / file, place / file)  # type: ignore[operator]
        return place

    def save_pretrained(self, save_directory: str | Path, reference: bool | str = False, **options: Any) -> None:
        """Write a complete folder: the plain base, the theory adapter with its LoRA under adapter/, genre LoRAs with their mix under loras/.

        reference: name the base instead of writing it, as nano or a Hub id; True: as it was loaded. Raises ValueError where that was a folder.
        """
        with self._apart():
            if self.adapter is not None:
                self.adapter.detach()
            try:
                if reference:
                    name = self.base_name if reference is True else reference
                    write_reference(self, save_directory, name, self.base_revision if name == self.base_name else None)
                else:
                    super().save_pretrained(save_directory, **options)  # type: ignore[misc]
                (Path(save_directory) / "pipeline.py").write_text(CUSTOM_PIPELINE)
            finally:
                if self.adapter is not None:
                    self.adapter.attach(self.unet)

    @contextmanager
    def _sounding(self, strength: float, *, music: bool) -> Iterator[None]:
        """Inside, the U-Net plays at ``strength`` with all that is active in its weights: with music the theory adapter too, without it only
        the genre LoRAs. After it, its weights are what they were, bit for bit."""
        theory = self.adapter is not None and self.adapter.has_lora  # is part of what is fused
        if self._fused is not None and strength == 1.0 and (music or not theory):
            yield
            return
        with self._apart():
            if self.adapter is not None:
                self.adapter.strength = strength if music else 0.0
            with lora.merged(self.unet, self._parts(strength)):
                yield

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Inside, nothing is fused."""
        fused = self._fused is not None
        if fused:
            self.unfuse_adapter()
        try:
            yield
        finally:
            if fused:
                self.fuse_adapter()

    def _not_fused(self) -> None:
        if self._fused is not None:
            raise ValueError("the adapters are fused into the U-Net's weights: unfuse_adapter() first")

    def _mix(self) -> Mapping[str, float]:
        return {} if self.loras is None else self.loras.mix

    def _parts(self, strength: float) -> dict[str, list[lora.LoraDelta]]:
        return {} if self.loras is None else self.loras.parts(strength)

    def _the_adapter(self) -> str:
        """The one that is meant where none is named."""
        active = [name for name, weight in self._mix().items() if weight]
        if len(active) > 1:
            raise ValueError(f"several adapters are active, {', '.join(active)}: give name=…")
        if active:
            return active[0]
        if self.adapter is None:
            raise ValueError("no adapter is active: give name=…, or load_adapter(…) first")
        return _called(self.adapter)

    def _remember(self, name: str, source: Path | None) -> None:
        self._sources = {k: v for k, v in self._sources.items() if k != name} | ({name: source} if source else {})


def _called(adapter: MusicAdapter) -> str:
    return THEORY if adapter.card is None else adapter.card.name


def lora_name(asked: str | Path, folder: str | Path) -> str:
    """What the LoRA in ``folder`` is called: as its card says, else as what was asked for, without what no name may have."""
    card = read_adapter_metadata(folder)
    return card.name if card else re.sub(r"[^\w-]+", "-", short_name(asked).split("/")[-1]).strip("-") or "lora"


def _info(name: str, kind: str, card: AdapterMetadata | None, parameters: int, weight: float) -> AdapterInfo:
    genre, base = (None, None) if card is None else (card.genre, card.base)
    return AdapterInfo(name, kind, genre, base, parameters, weight)
