"""What sharing saves in `musetune serve`: one base for all workers, batches, adapters that stay; what previews cost.

    python benchmarks/serving_batches.py [--base nano] [--workers 1 2 3] [--sizes 1 2 4 8] [--repeats 3]

Memory: for each number of workers a service is started, and each worker generates once. Pss counts a page that n
processes share as an nth of it, so the sum over the processes that generate is what they take. "apart" is the same with
workers that each load their own, as on an accelerator.

Batches: requests of one length, alone and together, by the processor's time of one thread. Adapters: what a request
takes to mix other genre adapters than the one before. Previews: the processor's time of one, and of its clip.

Ratios hold on a busy machine; seconds are this machine's. ``--json FILE`` writes all figures.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from musetune.client.bodies import GenerationBody
from musetune.serve.service import service as services
from musetune.serve.service.batching import batch_key
from musetune.serve.service.fork_server import memory_shares
from musetune.serve.service.inputs import adapter_mix
from musetune.serve.service.previews import Previewer
from musetune.serve.service.runner import GenerationRunner
from musetune.serve.service.service import JobService
from musetune.serve.service.settings import ServiceSettings
from musetune.serve.service.sqlite_store import SQLiteJobStore
from musetune.serve.service.worker import JobContext, upload_folder

PROMPTS = ("jazz trio", "bright pop", "slow rock", "piano blues", "string quartet", "house", "ballad", "bossa nova")
CHORDS = ("I V vi IV", "ii7 V7 Imaj7", "I IV V", "I7 IV7", "i iv V", "i VII VI V", "I iii IV V", "Imaj7 vi7 ii7 V7")
PATIENCE_S = 900.0


def request(number: int, seconds: float, steps: int) -> dict[str, Any]:
    """A request as it lies in the queue."""
    body = GenerationBody(
        prompt=PROMPTS[number % len(PROMPTS)],
        harmonic_progression=CHORDS[number % len(CHORDS)],
        duration_seconds=seconds,
        num_inference_steps=steps,
        seed=number,
    )
    fields = body.model_dump(mode="json", exclude_defaults=True)
    return {"task": "generation", "body": fields, "batch": batch_key("generation", body)}


@contextmanager
def running_service(settings: ServiceSettings, together: bool) -> Iterator[JobService]:
    """A service that is ready, with workers that share their base or do not."""
    was = services.can_fork
    services.can_fork = was if together else lambda device: False  # type: ignore[attr-defined]
    try:
        service = JobService(settings)
    finally:
        services.can_fork = was  # type: ignore[attr-defined]
    service.start()
    try:
        wait_until(lambda: service.ready)
        yield service
    finally:
        service.stop()


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"it did not come in {PATIENCE_S:g} s")
        time.sleep(0.1)


def measure_memory(base: str, workers: int, together: bool, seconds: float) -> dict[str, Any]:
    """MB of the processes that generate, before and after each has made a clip."""
    with tempfile.TemporaryDirectory() as folder:
        settings = ServiceSettings(folder=Path(folder), base=base, device="cpu", workers=workers, threads=1, batch=1)
        began = time.monotonic()
        with running_service(settings, together) as service:
            ready_s = time.monotonic() - began
            pool = service.pools["generation"]
            forks = pool._forks
            pids = [*pool.pids.values(), *([] if forks is None or forks._process is None else [forks._process.pid])]
            before = [memory_shares(pid) for pid in pids]
            for number in range(3 * workers):
                service.store.submit("generation", request(number, seconds, 4))
            wait_until(lambda: {state for _, state in service.store.counts()} <= {"succeeded", "failed"})
            after = [memory_shares(pid) for pid in pids]
    return {
        "workers": workers,
        "shared": together,
        "ready_s": ready_s,
        **{f"{name.lower()}_{when}_mb": sum(one[name] for one in shares if one) / 1e6
           for when, shares in (("loaded", before), ("after", after)) for name in ("Rss", "Pss")},
    }  # fmt: skip


class Bench:
    """A runner in this process, and jobs for it."""

    def __init__(self, base: str, folder: Path, seconds: float, steps: int) -> None:
        self.runner = GenerationRunner(base, device="cpu", batch=64)
        self.store, self.folder = SQLiteJobStore(folder / "jobs.sqlite3", 10_000), folder
        self.seconds, self.steps, self.number = seconds, steps, 0

    def contexts(self, count: int) -> list[JobContext]:
        contexts = []
        for _ in range(count):
            self.number += 1
            name = self.store.submit("generation", request(self.number, self.seconds, self.steps))[0].id
            job, place = self.store.claim("here", ["generation"], name), self.folder / name
            assert job is not None
            place.mkdir()
            contexts.append(JobContext(job, place, upload_folder(self.folder, name), self.store))
        return contexts

    def measure_batch(self, size: int) -> tuple[float, float]:
        """Processor seconds a clip, of all of its work and of what is done together: from words to sound and report."""
        contexts, began = self.contexts(size), time.process_time()
        results = [self.runner(contexts[0])] if size == 1 else self.runner.together(contexts)
        spent = time.process_time() - began
        if broken := [result for result in results if isinstance(result, Exception)]:
            raise broken[0]
        return spent / size, spent

    def measure_denoising(self, size: int) -> float:
        """Processor seconds a clip, of one call of the pipeline that makes latents alone."""
        import torch

        from musetune import LeadSheet

        sheets = [LeadSheet.parse(chords, duration_seconds=self.seconds) for chords in CHORDS[:size]]
        generators = [torch.Generator().manual_seed(seed) for seed in range(size)]
        began = time.process_time()
        self.runner.pipe(list(PROMPTS[:size]), lead_sheet=sheets, generator=generators, output_type="latent",
                         num_inference_steps=self.steps)  # fmt: skip
        return (time.process_time() - began) / size

    def measure_swaps(self, times: int) -> list[float]:
        """Seconds of each change of the adapters' mix."""
        from musetune.serve.work import genres_of

        names = genres_of(self.runner.pipe)
        return [adapter_mix(self.runner.pipe, {names[turn % len(names)]: 1.0}) for turn in range(times if names else 0)]

    def measure_preview(self) -> tuple[float, float]:
        """Processor seconds of a preview, and of the clip."""
        pipe, spent = self.runner.pipe, []
        with tempfile.TemporaryDirectory() as folder:
            listener = Previewer(pipe, (self.steps // 2,), 0.0, Path(folder))

            def on_step(_: Any, step: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
                began = time.process_time()
                listener.after_step(step + 1, tensors["latents"], step + 1)
                spent.append(time.process_time() - began)
                return tensors

            began = time.process_time()
            pipe("jazz", harmonic_progression="I V", duration_seconds=self.seconds, num_inference_steps=self.steps,
                 callback_on_step_end=on_step)  # fmt: skip
            whole = time.process_time() - began
        return max(spent), whole - sum(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="nano")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--sizes", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=10.24)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    figures: dict[str, Any] = {"load": os.getloadavg()[0], "cores": os.cpu_count()}
    figures["memory"] = [
        measure_memory(args.base, workers, together, min(args.seconds, 2.56))
        for workers in args.workers
        for together in (True, False)
    ]
    for row in figures["memory"]:
        how, pss = "shared" if row["shared"] else "apart ", f"{row['pss_loaded_mb']:.0f} MB loaded"
        pss += f", {row['pss_after_mb']:.0f} MB after clips (Rss {row['rss_after_mb']:.0f})"
        print(f"{row['workers']} worker(s), {how}: ready after {row['ready_s']:.0f} s; Pss {pss}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.base, Path(folder), args.seconds, args.steps)
        bench.measure_batch(1)  # warms up
        rounds = [{size: (bench.measure_batch(size)[0], bench.measure_denoising(size)) for size in args.sizes}
                  for _ in range(args.repeats)]  # fmt: skip
        figures["batches"] = {
            size: {
                "clip_s": median(one[size][0] for one in rounds),
                "denoising_s": median(one[size][1] for one in rounds),
            }
            for size in args.sizes
        }
        for size, row in figures["batches"].items():
            print(
                f"batch of {size}: {row['clip_s']:.2f} s of one processor a clip, {row['denoising_s']:.2f} s to latents"
            )
        if swaps := bench.measure_swaps(200):
            typical, worst = 1000 * median(swaps), 1000 * max(swaps)
            figures["swap_ms"] = {"median": typical, "worst": worst}
            print(f"adapters: {typical:.1f} ms a change, at worst {worst:.1f} ms")
        preview, clip = map(median, zip(*(bench.measure_preview() for _ in range(args.repeats)), strict=True))
        figures["preview"] = {"preview_s": preview, "clip_s": clip}
        print(f"preview: {preview:.2f} s beside {clip:.2f} s of its clip ({preview / clip:.1%})")
        bench.runner.close()
        bench.store.close()
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
