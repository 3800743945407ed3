"""How scenes are put in words, English and Chinese, and which words mean the same."""

import random

from training.moving_shapes.data import Scene

ALIKE = {
    "red": "红色 红",
    "orange": "橙色 橙 橘色",
    "yellow": "黄色 黄",
    "green": "绿色 绿",
    "cyan": "青色 青 turquoise",
    "blue": "蓝色 蓝",
    "purple": "紫色 紫 violet",
    "white": "白色 白",
    "black": "黑色 黑",
    "gray": "grey 灰色 灰",
    "navy": "深蓝色 深蓝 藏青色 藏青",
    "brown": "棕色 棕 褐色 褐",
    "circle": "圆形 圆 圆圈 disc disk ball round",
    "square": "方形 正方形 方块 方 box",
    "triangle": "三角形 三角",
    "left": "leftwards leftward 向左 往左 朝左 左移 左",
    "right": "rightwards rightward 向右 往右 朝右 右移 右",
    "up": "upwards upward rising rises 向上 往上 朝上 上移 上升 升起",
    "down": "downwards downward falling falls 向下 往下 朝下 下移 下降 下落 落下",
    "still": "motionless rest 静止 不动 静止不动",
    "moving": "moves move going goes sliding slides 移动 运动 滑动",
    "background": "背景 背景上 背景下",
    "on": "over 在 上",
    "a": "the one an 一个 一只 一块 的",
    "to": "",
    "at": "",
    "not": "",
    "standing": "",
}
"""The words the model knows, each with those that are read as the same word."""

MOTION_PHRASES = {
    "left": ("moving left", "moves left", "moving to the left", "going left", "sliding left"),
    "right": ("moving right", "moves right", "moving to the right", "going right", "sliding right"),
    "up": ("moving up", "moves up", "moving upwards", "going up", "rising"),
    "down": ("moving down", "moves down", "moving downwards", "going down", "falling"),
    "still": ("", "", "standing still", "not moving", "at rest"),
}
BACKGROUND_PHRASES = (
    "on a {} background",
    "on a {} background",
    "on {}",
    "{} background",
    "over a {} background",
)
ARTICLES = ("a", "a", "a", "the", "one", "")
CHINESE_MOTIONS = {
    "left": ("向左移动", "往左移动", "向左滑动"),
    "right": ("向右移动", "往右移动", "向右滑动"),
    "up": ("向上移动", "往上移动", "上升"),
    "down": ("向下移动", "往下移动", "下落"),
    "still": ("", "静止", "静止不动"),
}
CHINESE_FORMS = (
    "一个{colour}的{shape}在{background}背景上{motion}",
    "{colour}{shape}{motion}，{background}背景",
    "{background}背景上，一个{colour}{shape}{motion}",
    "{background}背景，{motion}的{colour}{shape}",
)
CHANCE_CHINESE = 0.25
CHANCE_NO_BACKGROUND = 0.05
CHANCE_BACKGROUND_FIRST = 0.15
CHANCE_NO_COLOUR = 0.03


def plain_caption(scene: Scene) -> str:
    """The scene in the plainest form of words."""
    motion = f" {MOTION_PHRASES[scene.motion][0]}".rstrip()
    return f"a {scene.colour} {scene.shape}{motion} on a {scene.background} background"


def english_caption(scene: Scene, rng: random.Random) -> str:
    """One of many ways to say all of `scene`."""
    parts = [
        f"{rng.choice(ARTICLES)} {scene.colour} {scene.shape}",
        rng.choice(MOTION_PHRASES[scene.motion]),
    ]
    background = rng.choice(BACKGROUND_PHRASES).format(_spelling(scene.background, rng))
    parts.insert(0 if rng.random() < CHANCE_BACKGROUND_FIRST else 2, background)
    return " ".join(" ".join(parts).split())


def chinese_caption(scene: Scene, rng: random.Random) -> str:
    """One of many ways to say all of `scene` in Chinese."""
    words = {
        name: rng.choice([word for word in ALIKE[getattr(scene, name)].split() if _is_long(word)])
        for name in ("colour", "background", "shape")
    }
    motion = rng.choice(CHINESE_MOTIONS[scene.motion])
    return rng.choice(CHINESE_FORMS).format(**words, motion=motion)


def random_caption(scene: Scene, rng: random.Random) -> str:
    """Any caption; now and then an English one leaves out the background or the colour."""
    if rng.random() < CHANCE_CHINESE:
        return chinese_caption(scene, rng)
    caption = english_caption(scene, rng)
    if rng.random() < CHANCE_NO_BACKGROUND:
        caption = f"a {scene.colour} {scene.shape} {rng.choice(MOTION_PHRASES[scene.motion])}"
    if rng.random() < CHANCE_NO_COLOUR:
        caption = caption.replace(f"{scene.colour} ", "", 1)
    return caption.strip()


def _is_long(word: str) -> bool:
    return len(word) > 1 and not word.isascii()


def _spelling(background: str, rng: random.Random) -> str:
    return rng.choice(("gray", "grey")) if background == "gray" else background
