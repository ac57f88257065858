"""Skeletons of cats and dogs: a breed in a pose, as a list of round cones in three dimensions."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from breeds import Breed
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float32]
Colour = tuple[int, int, int]

TURNS = {  # degrees from the side view (0) towards facing the viewer (90)
    "standing": (-15, 30),
    "walking": (30, 62),
    "sitting": (25, 80),
    "lying": (5, 60),
    "portrait": (65, 115),
}
POSES = tuple(TURNS)

DARK, WHITE, TONGUE, INNER_EAR = (34, 26, 26), (255, 255, 255), (222, 120, 124), (196, 140, 128)
CAT_NOSES = ((60, 44, 44), (206, 130, 120))
CAT_EYES = ((150, 170, 70), (214, 160, 50), (96, 160, 190), (120, 150, 90))
DOG_EYES = ((92, 58, 34), (60, 38, 26))


@dataclass
class Bones:
    """Round cones in body coordinates: x forward, y up, z to the animal's left; the ground is y = 0.

    Attributes:
        ends: The two centres and the two radii of each.
        extremity: At either end, from 0 (trunk) to 1 (paw, ear, muzzle, tip of the tail).
        colour: Its own colour; None is fur.
    """

    ends: list[tuple[Array, Array, float, float]] = field(default_factory=list)
    extremity: list[tuple[float, float]] = field(default_factory=list)
    colour: list[Colour | None] = field(default_factory=list)

    def chain(
        self, points: ArrayLike, radii: ArrayLike, extremity: ArrayLike = 0.0, colour: Colour | None = None
    ) -> None:
        """Adds the bones that join the points one after the other (a single point is a sphere)."""
        points = np.atleast_2d(np.asarray(points, np.float32))
        if len(points) == 1:
            points = np.repeat(points, 2, axis=0)
        radii = np.broadcast_to(np.asarray(radii, np.float32), len(points))
        extremity = np.broadcast_to(np.asarray(extremity, np.float32), len(points))
        for i in range(len(points) - 1):
            self.ends.append((points[i], points[i + 1], float(radii[i]), float(radii[i + 1])))
            self.extremity.append((float(extremity[i]), float(extremity[i + 1])))
            self.colour.append(colour)


def skeleton(breed: Breed, pose: str, rng: Generator) -> tuple[Bones, float]:
    """Builds the bones of a breed in a pose, with the turn (0 side view, 90 degrees facing the viewer) to see it at."""
    bones = Bones()
    leg, length = breed.leg * rng.uniform(0.92, 1.08), breed.length * rng.uniform(0.94, 1.06)
    girth = breed.girth * rng.uniform(0.94, 1.1) * (1 + 0.12 * breed.fur)
    if pose in ("sitting", "portrait"):
        chest, rump = _sitting(bones, length, girth, leg)
        reach = (0.13, 0.3 + 0.55 * girth, 0)
    elif pose == "lying":
        chest, rump = _lying(bones, length, girth, rng)
        reach = (0.21, 0.2 + 0.55 * girth, 0)
    else:
        stride = rng.uniform(0.12, 0.2) * rng.choice((-1, 1)) if pose == "walking" else rng.uniform(-0.03, 0.03)
        chest, rump = _standing(bones, length, girth, leg, stride)
        reach = (0.23, 0.26 + 0.55 * girth, 0)
    _tail(bones, breed, rump, on_ground=pose not in ("standing", "walking"), rng=rng)

    yaw = np.radians(rng.uniform(*TURNS[pose]))
    to_viewer = np.pi / 2 - yaw
    turn = to_viewer + rng.uniform(-0.45, 0.45) if pose == "portrait" else to_viewer * rng.uniform(0.35, 1.0)
    head = chest + np.array(reach, np.float32)
    head[0] += 0.5 * breed.head * np.cos(turn)
    bones.chain([chest, head - (0.06, 0.05, 0)], [girth * 0.88, breed.head * 0.72], 0.1)
    _head(bones, breed, head, turn, rng)
    return bones, yaw


def _standing(bones: Bones, length: float, girth: float, leg: float, stride: float) -> tuple[Array, Array]:
    """Adds trunk and legs, and gives the places of neck and tail (so do the next two)."""
    back, front, top = -length / 2, length / 2, leg + girth * 0.8
    bones.chain([(back, top, 0), (0, top - 0.03, 0), (front, top, 0)], [girth * 0.92, girth * 0.94, girth * 1.08])
    for side in (-1, 1):
        z, swing = side * girth * 0.55, side * stride
        bones.chain(
            [(front, top, z), (front - 0.05 + swing * 0.4, leg * 0.6, z), (front + swing, leg * 0.2, z),
             (front + 0.06 + swing, 0.05, z)],
            [girth * 0.62, girth * 0.36, girth * 0.25, girth * 0.29], [0, 0.3, 0.85, 1],
        )  # fmt: skip
        bones.chain(
            [(back, top, z), (back + 0.08 - swing * 0.5, leg * 0.66, z), (back - 0.1 - swing, leg * 0.34, z),
             (back - 0.06 - swing, 0.1, z), (back + 0.02 - swing, 0.05, z)],
            [girth * 0.78, girth * 0.5, girth * 0.27, girth * 0.24, girth * 0.28], [0, 0.2, 0.7, 1, 1],
        )  # fmt: skip
    return np.array((front, top + 0.1 * girth, 0)), np.array((back - 0.7 * girth, top + 0.3 * girth, 0))


def _sitting(bones: Bones, length: float, girth: float, leg: float) -> tuple[Array, Array]:
    height = 0.55 * leg + 0.5 * length
    front = 0.3 * length
    bones.chain(
        [(-0.22 * length, girth * 1.05, 0), (0, 0.5 * height, 0), (front - 0.08, height, 0)],
        [girth * 1.15, girth * 1.12, girth * 1.02],
    )
    for side in (-1, 1):
        z = side * girth * 0.6
        bones.chain(
            [(front - 0.04, height, z), (front, 0.5 * height, z), (front + 0.04, 0.15, z), (front + 0.1, 0.05, z)],
            [girth * 0.6, girth * 0.38, girth * 0.28, girth * 0.32], [0, 0.3, 0.85, 1],
        )  # fmt: skip
        z = side * girth * 0.95
        bones.chain([(-0.2 * length, girth * 0.9, z * 0.8), (0.02, girth * 0.72, z)], [girth * 0.8, girth * 0.62])
        bones.chain([(-0.02, 0.07, z * 1.1), (0.2, 0.06, z * 1.15)], [girth * 0.34, girth * 0.3], [0.7, 1])
    return np.array((front - 0.06, height, 0)), np.array((-0.22 * length - girth, 0.5 * girth, 0))


def _lying(bones: Bones, length: float, girth: float, rng: Generator) -> tuple[Array, Array]:
    back, front = -length / 2, length / 2
    bones.chain(
        [(back, girth * 0.9, 0), (0, girth * 0.95, 0), (front, girth * 1.15, 0)], [girth * 0.95, girth, girth * 1.05]
    )
    for side in (-1, 1):
        z = side * girth * 0.7
        reach = front + rng.uniform(0.3, 0.45)
        bones.chain(
            [(front, girth * 0.9, z), (front + 0.02, 0.1, z), (reach, 0.06, z), (reach + 0.06, 0.06, z)],
            [girth * 0.55, girth * 0.36, girth * 0.27, girth * 0.3], [0, 0.3, 0.9, 1],
        )  # fmt: skip
        bones.chain([(back, girth * 0.7, z), (back + 0.14, girth * 0.62, z * 1.25)], [girth * 0.8, girth * 0.6])
        bones.chain([(back + 0.1, 0.06, z * 1.7), (back + 0.34, 0.06, z * 1.75)], [girth * 0.3, girth * 0.28], [0.6, 1])
    return np.array((front, girth * 1.3, 0)), np.array((back - 0.8 * girth, 0.7 * girth, 0))


def _tail(bones: Bones, breed: Breed, root: Array, *, on_ground: bool, rng: Generator) -> None:
    along = np.linspace(0, 1, 6)[:, None]
    sway = rng.uniform(-0.5, 0.5)
    if breed.tail == "stub":
        points, radii = root + along * (-0.14, 0.1, 0.0), np.linspace(0.5, 0.3, 6) * 0.13
    elif breed.tail == "curled":
        angle = np.pi * (0.75 - 1.35 * along)
        points = root + 0.17 * np.hstack((np.cos(angle) + 0.5, np.sin(angle) + 0.1, sway * along))
        points[:, 1] += 0.08
        radii = np.linspace(0.8, 1.1, 6) * (0.05 + 0.07 * breed.fur)
    else:
        lift = rng.uniform(-0.3, 1.0)
        points = root + along * (-0.62, 0.0, sway) + along**2 * (0.22, 0.62 * lift - 0.12, 0.0)
        radii = np.linspace(1.0, 0.8, 6) * 0.055
        if breed.tail == "bushy":
            radii = 0.06 + 0.075 * np.sin(np.pi * (0.1 + 0.8 * along[:, 0]))
        if on_ground:
            points[:, 1] = np.maximum(root[1] * (1 - along[:, 0]) ** 3, radii)
            points[:, 2] += along[:, 0] ** 2 * 0.5 * np.sign(sway)
    points[:, 1] = np.maximum(points[:, 1], radii)
    bones.chain(points, radii, np.linspace(0.2, 1, 6))


def _head(bones: Bones, breed: Breed, at: Array, turn: float, rng: Generator) -> None:
    """Adds skull, muzzle, ears and face, in a frame of the head's own: forward, up, to its left, in head radii."""
    tilt, nod = rng.uniform(-0.16, 0.16), rng.uniform(-0.2, 0.12)
    forward = np.array((np.cos(turn) * np.cos(nod), np.sin(nod), np.sin(turn) * np.cos(nod)))
    left = np.cross(forward, (0, 1, 0)) + np.array((0, tilt, 0))
    left /= np.linalg.norm(left)
    frame = np.stack((forward, np.cross(left, forward), left)) * breed.head

    def add(points: ArrayLike, radii: ArrayLike, extremity: ArrayLike = 0.3, colour: Colour | None = None) -> None:
        bones.chain(at + np.asarray(points) @ frame, np.asarray(radii) * breed.head, extremity, colour)

    snout = breed.muzzle
    add([(0, 0, -0.14), (0, 0, 0.14)], 0.9, 0.25)
    if breed.cat:
        nose, iris = CAT_NOSES[rng.integers(2)], CAT_EYES[rng.integers(4)]
        add([(0.3, -0.35, -0.42), (0.3, -0.35, 0.42)], 0.46, 0.3)
        add([(0.5, 0.1, 0), (0.62 + snout * 0.8, -0.2, 0)], [0.32, 0.16], [0.4, 1])
        for side in (-1, 1):
            add([(0.62 + snout * 0.6, -0.36, 0.16 * side)], 0.25, 1)
            add([(1.0 + 0.25 * snout, -0.33, 0), (0.82 + 0.25 * snout, -0.5, 0.26 * side)], 0.035, colour=DARK)
        add([(0.52 + snout * 0.6, -0.56, 0)], 0.19, 0.8)
        add([(0.78 + snout * 0.8, -0.16, -0.05), (0.78 + snout * 0.8, -0.16, 0.05)], 0.085, colour=nose)
        eye, size, pupil = (0.66, 0.12, 0.4), 0.25, 0.14
    else:
        iris, tip = DOG_EYES[rng.integers(2)], 0.42 + snout
        add([(0.15, -0.3, -0.4), (0.15, -0.3, 0.4)], 0.48, 0.3)
        add([(0.4, -0.14, 0), (tip, -0.26, 0)], [0.55, 0.36], [0.5, 1])
        panting = rng.random() < 0.35
        add([(0.3, -0.5, 0), (tip - 0.14, -0.58 - 0.1 * panting, 0)], [0.36, 0.2], [0.5, 1])
        if panting:
            add([(tip - 0.05, -0.58, 0), (tip + 0.08, -0.95, 0.05)], [0.15, 0.13], colour=TONGUE)
        for side in (-1, 1):
            mouth = (tip + 0.28, -0.44, 0), (tip - 0.05, -0.56, 0.3 * side), (0.55, -0.52, 0.46 * side)
            add(mouth, 0.04, colour=DARK)
        add([(tip + 0.22, -0.1, -0.1), (tip + 0.22, -0.1, 0.1)], 0.15, colour=DARK)
        eye, size, pupil = (0.66, 0.26, 0.38), 0.22, 0.13
    for side in (-1, 1):
        f, u, s = eye[0], eye[1], eye[2] * side
        add([(f - 0.03, u, s)], size * 1.12, colour=DARK)
        add([(f + 0.05, u, s * 1.02)], size, colour=iris)
        add([(f + 0.2, u, s * 1.06)], pupil, colour=DARK)
        add([(f + 0.29, u + 0.09, s * 1.0)], 0.055, colour=WHITE)
        _ear(add, breed, side, rng)


def _ear(add: Callable[..., None], breed: Breed, side: int, rng: Generator) -> None:
    long = breed.ear * rng.uniform(0.9, 1.1)
    if breed.ears == "pointed":
        tip = (-0.1, 0.85 + 0.5 * long, side * (0.62 + 0.14 * long))
        add([(0.0, 0.66, side * 0.36), tip], [0.24, 0.05], [0.4, 1])
        add([(-0.05, 0.45, side * 0.72), tip], [0.24, 0.05], [0.4, 1])
        inner = (0.14, 0.7, side * 0.56), (0.02, 0.75 + 0.42 * long, side * (0.62 + 0.12 * long))
        add(inner, [0.2, 0.04], colour=INNER_EAR)
    elif breed.ears == "floppy":
        add(
            [(-0.05, 0.55, side * 0.68), (0.0, 0.15, side * 1.0), (0.08, 0.15 - 0.62 * long, side * 1.0)],
            [0.2, 0.26, 0.24], [0.5, 0.9, 1],
        )  # fmt: skip
    else:
        add(
            [(-0.1, 0.68, side * 0.55), (0.0, 0.8, side * 0.86), (0.3, 0.42, side * (0.8 + 0.1 * long))],
            [0.24, 0.2, 0.1], [0.5, 0.8, 1],
        )  # fmt: skip
