"""Trains the moving-shapes model on one CPU core.

`DIR/model` always holds the latest averaged weights, ready to be served; `DIR/state.pt` is what an
interrupted run goes on from.
"""

import argparse
import copy
import math
import random
import time
from pathlib import Path

import moving_shapes
import torch
from training.moving_shapes.build import (
    build_scheduler,
    build_text_encoder,
    build_tokenizer,
    build_unet,
)
from training.moving_shapes.data import draw_clips, random_caption, random_scene

BATCH = 8
PEAK_LEARNING_RATE = 8e-4
WARM_UP_STEPS = 100
CHANCE_NO_CAPTION = 0.1
NOISE_FROM, NOISE_TO, NOISE_SPREAD = 3.8, 2.2, 1.6
"""Mean, at the start and at the end, and spread of the logit of the noise level."""
SEED = 7


class Trainer:
    """The model, its running average, and how far the run has come."""

    def __init__(self, out: Path, steps: int) -> None:
        self.out = out
        self.steps = steps
        self.elapsed_seconds = 0.0
        self.step = 0
        self.loss = math.nan
        self.tokenizer = build_tokenizer()
        self.model = torch.nn.ModuleDict(
            {"unet": build_unet(), "text_encoder": build_text_encoder(self.tokenizer)}
        ).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.model).requires_grad_(False).eval()
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), betas=(0.9, 0.99), weight_decay=0.01, fused=True
        )

    def run(self, checkpoint_every_seconds: float) -> None:
        """Train to the last step, writing a checkpoint now and then."""
        next_checkpoint = self.elapsed_seconds + checkpoint_every_seconds
        while self.step < self.steps:
            started = time.perf_counter()
            self._train_step()
            self.elapsed_seconds += time.perf_counter() - started
            if self.elapsed_seconds >= next_checkpoint:
                next_checkpoint += checkpoint_every_seconds
                self.save()
        self.save()

    def save(self) -> None:
        """Write the state to go on from and the averaged model in half precision."""
        self.out.mkdir(parents=True, exist_ok=True)
        torch.save(self._state(), self.out / "state.pt")
        half = copy.deepcopy(self.average).half()
        moving_shapes.MovingShapesPipeline(
            **half, tokenizer=self.tokenizer, scheduler=build_scheduler()
        ).save_pretrained(self.out / "model")
        print(
            f"{self.elapsed_seconds / 60:5.1f} min  step {self.step:5d}  loss {self.loss:.4f}"
            f"  learning rate {self._learning_rate():.2e}",
            flush=True,
        )

    def resume(self) -> None:
        """Go on from `state.pt` where there is one."""
        path = self.out / "state.pt"
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        for name in ("model", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.step, self.elapsed_seconds, self.loss = state["progress"]

    def _state(self) -> dict[str, object]:
        parts = ("model", "average", "optimizer")
        states = {name: getattr(self, name).state_dict() for name in parts}
        return {**states, "progress": (self.step, self.elapsed_seconds, self.loss)}

    def _train_step(self) -> None:
        clips, captions = draw_batch(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        loss = self._loss(moving_shapes.fold(clips), captions)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self._update_average()
        self.loss = loss.item() if self.step == 1 else 0.98 * self.loss + 0.02 * loss.item()

    def _loss(self, clean: torch.Tensor, captions: list[str]) -> torch.Tensor:
        """The error of the velocity, which is the error of the clean clip over the noise level."""
        generator = torch.Generator().manual_seed(_seed_of(self.step) + 1)
        level = draw_noise_levels(len(clean), self._done(), generator)
        weight = level[:, None, None, None]
        noise = torch.randn(clean.shape, generator=generator)
        noisy = torch.lerp(clean, noise, weight)
        text = moving_shapes.encode_text(self.tokenizer, self.model["text_encoder"], captions)
        guess = moving_shapes.predict(self.model["unet"], noisy, 1000 * level, text)
        return ((guess - clean) / weight.clamp_min(0.05)).square().mean()

    def _learning_rate(self) -> float:
        warm_up = min(1.0, (self.step + 1) / WARM_UP_STEPS)
        return (
            PEAK_LEARNING_RATE
            * warm_up
            * (0.01 + 0.99 * (1 + math.cos(math.pi * self._done())) / 2)
        )

    def _done(self) -> float:
        return self.step / self.steps

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(0.998, (1 + self.step) / (10 + self.step))
        pairs = zip(self.average.parameters(), self.model.parameters(), strict=True)
        for average, value in pairs:
            average.lerp_(value, 1 - decay)


def draw_batch(step: int) -> tuple[torch.Tensor, list[str]]:
    """The clips of a step and their captions; the same step always draws the same."""
    rng = random.Random(_seed_of(step))
    scenes = [random_scene(rng) for _ in range(BATCH)]
    captions = [_maybe_nothing(random_caption(scene, rng), rng) for scene in scenes]
    return draw_clips(scenes, torch.Generator().manual_seed(_seed_of(step))), captions


def draw_noise_levels(count: int, done: float, generator: torch.Generator) -> torch.Tensor:
    """Noise levels in (0, 1) for a run that is `done` from 0 to 1.

    They start where only the caption tells what a clip shows, and move to where its outlines are.
    """
    middle = NOISE_FROM + (NOISE_TO - NOISE_FROM) * done
    return torch.sigmoid(middle + NOISE_SPREAD * torch.randn(count, generator=generator))


def _maybe_nothing(caption: str, rng: random.Random) -> str:
    return "" if rng.random() < CHANCE_NO_CAPTION else caption


def _seed_of(step: int) -> int:
    return SEED * 1_000_003 + 2 * step


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="directory to write to")
    parser.add_argument("--steps", type=int, default=6000, help="length of the whole run")
    parser.add_argument("--checkpoint-minutes", type=float, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    trainer = Trainer(arguments.out, arguments.steps)
    trainer.resume()
    trainer.run(60 * arguments.checkpoint_minutes)


if __name__ == "__main__":
    main()
