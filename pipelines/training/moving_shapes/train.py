"""Trains the moving-shapes model on one CPU core, for as long as it is given.

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
    build_key_unet,
    build_motion_unet,
    build_scheduler,
    build_text_encoder,
    build_tokenizer,
)
from training.moving_shapes.data import (
    HELD_OUT,
    Scene,
    all_scenes,
    draw_clips,
    starts_anywhere,
    usual_starts,
)
from training.moving_shapes.muon import Muon
from training.moving_shapes.words import random_caption

BATCH = 8
MUON_PEAK, ADAM_PEAK = 0.012, 2e-3
"""Learning rates."""
WARM_UP_STEPS = 20
CHANCE_NO_CAPTION = 0.1
NOISE = {"unet": (2.2, 1.8), "motion_unet": (3.0, 2.0)}
"""Mean and spread of the logit of the noise level.

Noise must be strong before the text, or the frame before, is all that tells what is to be drawn;
frames that agree with each other show through stronger noise than a single one.
"""
BLUR = 0.05
"""Most noise in a frame that others are to follow, which at work is a drawn one."""
OUTER = ("conv_in", "conv_out", "embedding", "time_emb_proj", "text_projection")
SEED = 7
PARTS = ("model", "average", "muon", "adam")


class Trainer:
    """The model, its running average, and how far the run has come."""

    def __init__(self, out: Path, minutes: float) -> None:
        self.out = out
        self.seconds = 60 * minutes
        self.elapsed_seconds = 0.0
        self.step = 0
        self.losses = (math.nan, math.nan)
        self.tokenizer = build_tokenizer()
        self.model = torch.nn.ModuleDict(
            {
                "unet": build_key_unet(),
                "motion_unet": build_motion_unet(),
                "text_encoder": build_text_encoder(self.tokenizer),
            }
        ).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.model).requires_grad_(False).eval()
        inner, outer = split_weights(self.model)
        self.muon = Muon(inner)
        self.adam = torch.optim.AdamW(outer, betas=(0.9, 0.99), weight_decay=0.01, fused=True)

    def run(self, checkpoint_every_seconds: float) -> None:
        """Train until the time is over, writing a checkpoint now and then."""
        next_checkpoint = self.elapsed_seconds + checkpoint_every_seconds
        while self.elapsed_seconds < self.seconds:
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
            f"{self.elapsed_seconds / 60:5.1f} min  step {self.step:5d}"
            f"  loss {self.losses[0]:.4f} first frame, {self.losses[1]:.4f} motion"
            f"  learning rates at {self._pace():.0%}",
            flush=True,
        )

    def resume(self) -> None:
        """Go on from `state.pt` where there is one."""
        path = self.out / "state.pt"
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        for name in PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.step, self.elapsed_seconds, *self.losses = state["progress"]

    def _state(self) -> dict[str, object]:
        states = {name: getattr(self, name).state_dict() for name in PARTS}
        return {**states, "progress": (self.step, self.elapsed_seconds, *self.losses)}

    def _train_step(self) -> None:
        generator = torch.Generator().manual_seed(_seed_of(self.step))
        scenes, captions = draw_scenes(self.step)
        for optimizer, peak in ((self.muon, MUON_PEAK), (self.adam, ADAM_PEAK)):
            optimizer.param_groups[0]["lr"] = peak * self._pace()
        text = moving_shapes.encode_text(self.tokenizer, self.model["text_encoder"], captions)
        losses = (
            self._loss("unet", draw_keys(scenes, generator), None, text, generator),
            self._loss("motion_unet", *draw_moves(scenes, generator), text, generator),
        )
        self.model.zero_grad()
        sum(losses).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.muon.step()
        self.adam.step()
        self.step += 1
        self._update_average()
        self.losses = tuple(
            loss.item() if self.step == 1 else 0.98 * mean + 0.02 * loss.item()
            for mean, loss in zip(self.losses, losses, strict=True)
        )

    def _loss(
        self,
        name: str,
        clean: torch.Tensor,
        before: torch.Tensor | None,
        text: moving_shapes.Text,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """The error of the velocity, which is the error of the clean clip over the noise level."""
        mean, spread = NOISE[name]
        logit = mean + spread * torch.randn(len(clean), generator=generator)
        level = torch.sigmoid(logit)
        weight = level[:, None, None, None]
        noise = torch.randn(clean.shape, generator=generator)
        noisy = torch.lerp(clean, noise, weight)
        guess = moving_shapes.predict(self.model[name], noisy, before, 1000 * level, text)
        return ((guess - clean) / weight.clamp_min(0.1)).square().mean()

    def _pace(self) -> float:
        """The share of the peak learning rates that is due."""
        warm_up = min(1.0, (self.step + 1) / WARM_UP_STEPS)
        done = min(1.0, self.elapsed_seconds / self.seconds)
        return warm_up * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(0.995, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(
            list(self.average.parameters()), list(self.model.parameters()), 1 - decay
        )


def split_weights(
    model: torch.nn.Module,
) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """The matrices inside the networks, and all else: first and last layers, words, biases."""
    inner, outer = [], []
    for name, weight in model.named_parameters():
        is_inner = weight.ndim > 1 and not any(part in name for part in OUTER)
        (inner if is_inner else outer).append(weight)
    return inner, outer


def draw_scenes(step: int) -> tuple[list[Scene], list[str]]:
    """The scenes of a step and their captions; the same step always draws the same."""
    rng = random.Random(_seed_of(step))
    scenes = rng.choices(all_scenes()[HELD_OUT:], k=BATCH)
    return scenes, [_maybe_nothing(random_caption(scene, rng), rng) for scene in scenes]


def draw_keys(scenes: list[Scene], generator: torch.Generator) -> torch.Tensor:
    """Latents of first frames."""
    starts = usual_starts(scenes, generator)
    return moving_shapes.fold(draw_clips(scenes, starts, generator, frames=1))


def draw_moves(
    scenes: list[Scene], generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents of some frames, and of the frame before them, which is not quite clean."""
    starts = starts_anywhere(len(scenes), generator)
    clips = draw_clips(scenes, starts, generator, frames=1 + moving_shapes.HOP)
    before = moving_shapes.fold(clips[:, :1])
    blur = BLUR * torch.rand(len(scenes), 1, 1, 1, generator=generator)
    noise = torch.randn(before.shape, generator=generator)
    return moving_shapes.fold(clips[:, 1:]), torch.lerp(before, noise, blur)


def _maybe_nothing(caption: str, rng: random.Random) -> str:
    return "" if rng.random() < CHANCE_NO_CAPTION else caption


def _seed_of(step: int) -> int:
    return SEED * 1_000_003 + 2 * step


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="directory to write to")
    parser.add_argument("--minutes", type=float, default=60, help="length of the whole run")
    parser.add_argument("--checkpoint-minutes", type=float, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    trainer = Trainer(arguments.out, arguments.minutes)
    trainer.resume()
    trainer.run(60 * arguments.checkpoint_minutes)


if __name__ == "__main__":
    main()
