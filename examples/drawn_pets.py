"""Pets drawn by a seeded generator: pictures and trimaps for a segmentation demo that needs no download.

A pet is a list of bones. Each bone is a round cone (two spheres and all between them) in three dimensions: `skeleton`
builds the bones of a breed in a pose, `_place` puts them before the camera, `_sculpt` melts them into one relief,
`_paint` lights it and grows fur. The scene is painted in the colours that fur has, so that no colour alone tells a pet.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from breeds import BREEDS, COLOURS, Breed
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from skeletons import POSES, Bones, skeleton

Array = NDArray[np.float32]
Pixels = NDArray[np.uint8]

PET, BACKGROUND, BORDER = 0, 1, 2
BORDER_WIDTH = 0.03  # of the picture's side, half of it on either side of the silhouette
FINE = 2  # pets are sculpted at twice the resolution and averaged down


def drawn_pets(count: int, size: int, *, seed: int = 0) -> tuple[Pixels, Pixels]:
    """Draws pets with their trimaps.

    Picture i depends on `seed` and i alone: asking for more never changes the first ones.

    Args:
        count: Number of pictures.
        size: Their side in pixels.
        seed: Draws another set; take different ones for training and validation.

    Returns:
        Images, uint8 (count, size, size, 3), and labels, uint8 (count, size, size): 0 pet, 1 background, 2 border.
    """
    images = np.empty((count, size, size, 3), np.uint8)
    labels = np.empty((count, size, size), np.uint8)
    for i in range(count):
        images[i], labels[i] = draw_pet(size, np.random.default_rng((seed, i)))
    return images, labels


def draw_pet(
    size: int, rng: Generator, *, breed: Breed | None = None, pose: str | None = None
) -> tuple[Pixels, Pixels]:
    """Draws one pet in a scene; breed and pose are drawn by lot unless given."""
    breed = breed or BREEDS[rng.integers(len(BREEDS))]
    pose = pose or POSES[rng.integers(len(POSES))]
    bones, body_yaw = skeleton(breed, pose, rng)
    light = _unit((rng.choice((-1, 1)) * rng.uniform(0.25, 0.8), rng.uniform(0.5, 0.9), rng.uniform(0.45, 0.9)))
    pet = _place(bones, body_yaw, pose, light, rng)

    relief = _sculpt(pet, size * FINE, fur=breed.fur * pet.scale, rng=rng)
    coat = _paint(pet, relief, breed, light, rng)
    alpha = _shrink(relief.mask.astype(np.float32))[..., None]
    coat = _shrink(coat * relief.mask[..., None])  # premultiplied: what lies outside must not bleed in

    scene = _scene(size, pet, pose, light, rng)
    picture = scene * (1 - alpha) + coat
    picture *= rng.uniform(0.88, 1.1) * rng.uniform(0.96, 1.04, 3)  # exposure and white balance
    picture += rng.uniform(1.5, 4) * rng.standard_normal(picture.shape, np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8), _trimap(relief.mask)


# ---------------------------------------------------------------------------------------------------- the camera


@dataclass
class Placed:
    """Bones in picture coordinates: x right, y down, both 0 to 1; z to the viewer."""

    start: Array
    end: Array
    start_radius: Array
    end_radius: Array
    extremity: Array
    colour: Array  # RGB, negative for fur
    scale: float
    to_body: Array  # picture directions to body directions
    ground: Array  # where each bone's two ends throw their shadow
    horizon: float


def _place(bones: Bones, yaw: float, pose: str, light: Array, rng: Generator) -> Placed:
    start, end, start_radius, end_radius = (np.array(column, np.float32) for column in zip(*bones.ends, strict=True))
    pitch, mirror = np.radians(rng.uniform(8, 20)), rng.choice((-1, 1))
    turn = np.array(((np.cos(yaw), 0, -np.sin(yaw)), (0, 1, 0), (np.sin(yaw), 0, np.cos(yaw))))
    bow = np.array(((mirror, 0, 0), (0, -np.cos(pitch), np.sin(pitch)), (0, np.sin(pitch), np.cos(pitch))))
    camera = (bow @ turn).astype(np.float32)

    def outline(points: Array, radii: Array) -> tuple[Array, Array]:
        return (points - radii[:, None])[:, :2].min(0), (points + radii[:, None])[:, :2].max(0)

    points, radii = np.vstack((start, end)) @ camera.T, np.hstack((start_radius, end_radius))
    low, high = outline(points, radii)
    if pose == "portrait":  # the head and what is below it, cut off by the edge of the picture
        outer = np.array([near >= 0.25 for near, _ in bones.extremity] * 2)
        head = outer & (np.hstack((start[:, 1], end[:, 1])) > 0.9 * start[-1, 1] - 0.1)
        low, high = outline(points[head], radii[head])
        scale = rng.uniform(0.55, 0.78) / (high - low).max()
        centre = np.array((rng.uniform(0.4, 0.6), rng.uniform(0.42, 0.52)))
    else:
        scale = rng.uniform(0.75, 1.0) / (high - low).max()
        room = (1 - (high - low) * scale) / 2
        centre = 0.5 + room * rng.uniform(-0.8, 0.8, 2) + (0, 0.2 * room[1])
    offset = np.array((*(centre - scale * (low + high) / 2), 0), np.float32)

    feet = offset[1] + scale * camera[1] @ (0, 0, 0)
    drop = np.vstack((start, end))  # along the light to the ground, in body coordinates
    ray = camera.T @ (light * (1, -1, 1))
    ground = (drop - ray * (drop[:, 1:2] / max(ray[1], 0.55))) @ camera.T * scale + offset
    return Placed(
        start @ camera.T * scale + offset,
        end @ camera.T * scale + offset,
        start_radius * scale,
        end_radius * scale,
        np.array(bones.extremity, np.float32),
        np.array([(-1, -1, -1) if c is None else c for c in bones.colour], np.float32),
        float(scale),
        camera.T,
        ground.reshape(2, -1, 3),
        float(np.clip(feet - rng.uniform(0.12, 0.4), 0.15, 0.7)),
    )


@dataclass
class Relief:
    """What the viewer sees of the bones, for each fine pixel."""

    mask: NDArray[np.bool_]
    depth: Array
    bone: NDArray[np.int16]
    along: Array  # 0 to 1 from start to end of the bone
    across: Array  # signed distance from its axis


def _sculpt(pet: Placed, size: int, *, fur: float, rng: Generator) -> Relief:
    """Melts the bones into one surface: a smooth maximum of their depths within a smooth union of their outlines."""
    depth, outline = np.full((size, size), -9, np.float32), np.full((size, size), 9, np.float32)
    bone, along, across = np.zeros((size, size), np.int16), np.zeros_like(depth), np.zeros_like(depth)
    grid = (np.arange(size, dtype=np.float32) + 0.5) / size
    margin, melt = 0.05 * pet.scale, 0.06 * pet.scale
    for i in range(len(pet.start)):
        (ax, ay, az), (bx, by, bz) = pet.start[i].tolist(), pet.end[i].tolist()
        ra, rb, furry = float(pet.start_radius[i]), float(pet.end_radius[i]), pet.colour[i, 0] < 0
        pad = margin if furry else 0.0
        left, right = _window(min(ax - ra, bx - rb) - pad, max(ax + ra, bx + rb) + pad, size)
        top, bottom = _window(min(ay - ra, by - rb) - pad, max(ay + ra, by + rb) + pad, size)
        if left >= right or top >= bottom:
            continue
        window = np.s_[top:bottom, left:right]
        x, y = grid[left:right] - ax, grid[top:bottom, None] - ay
        ex, ey, ez = bx - ax, by - ay, bz - az
        flat = ex * ex + ey * ey + 1e-8
        free = (x * ex + y * ey) / flat
        t = np.clip(free, 0, 1)
        r, d = ra + (rb - ra) * t, _length(x - t * ex, y - t * ey)
        edge = d - r
        if abs(ez) > 1e-4:  # a bone that points at the viewer shows its near end first
            bulge = np.sqrt(np.maximum(r * r - d * d, 0))
            t = np.clip(free + bulge * (ez / np.sqrt(flat * (flat + ez * ez))), 0, 1)
            r, d = ra + (rb - ra) * t, _length(x - t * ex, y - t * ey)
        z = az + ez * t + np.sqrt(np.maximum(r * r - d * d, 0)) - 8 * np.maximum(edge, 0)
        if furry:
            here = outline[window]
            h = np.clip(0.5 + 0.5 * (here - edge) / margin, 0, 1)
            outline[window] = here + (edge - here) * h - margin * h * (1 - h) * 0.5
            h = np.clip(0.5 + 0.5 * (z - depth[window]) / melt, 0, 1)
            depth[window] += (z - depth[window]) * h + melt * h * (1 - h) * 0.5
            taken = h > 0.5
        else:
            taken = (edge < 0) & (z > depth[window])
            np.copyto(depth[window], z, where=taken)
            np.minimum(outline[window], edge, out=outline[window])
        np.copyto(bone[window], i, where=taken, casting="unsafe")
        np.copyto(along[window], t, where=taken)
        np.copyto(across[window], (x * ey - y * ex) / np.sqrt(flat), where=taken)

    tufts = _noise("fine", *np.meshgrid(grid, grid), 9, rng)
    return Relief(outline < fur * 0.03 * (tufts - 0.35), depth, bone, along, across)


def _window(low: float, high: float, size: int) -> tuple[int, int]:
    return max(int(low * size), 0), min(int(high * size) + 2, size)


# ---------------------------------------------------------------------------------------------------- light and fur


def _paint(pet: Placed, relief: Relief, breed: Breed, light: Array, rng: Generator) -> Array:
    """Colours and lights the relief; pixels outside the mask stay black."""
    size = len(relief.mask)
    rows, columns = np.nonzero(relief.mask)
    bone, along, across = relief.bone[rows, columns], relief.along[rows, columns], relief.across[rows, columns]
    depth = np.where(relief.depth < -5, np.float32(0), relief.depth)

    place = np.stack((columns / size, rows / size, depth[rows, columns]), 1).astype(np.float32)
    chest = (pet.start[0] + pet.end[1]) / 2
    body = (place - chest) @ pet.to_body.T / pet.scale
    length = np.linalg.norm(pet.end - pet.start, axis=1)
    u, v = along * length[bone] / pet.scale, across / pet.scale
    extremity = pet.extremity[bone, 0] * (1 - along) + pet.extremity[bone, 1] * along

    slope_y, slope_x = np.gradient(depth, 1 / size)
    normal = np.stack((-slope_x[rows, columns], -slope_y[rows, columns], np.ones(len(rows), np.float32)), 1)
    normal /= np.sqrt(np.einsum("ij,ij->i", normal, normal))[:, None]
    lit = normal @ np.float32(light * (1, -1, 1))

    colour = _coat(breed, body, u, v, extremity, rng)
    x, y = place[:, 0] / pet.scale, place[:, 1] / pet.scale
    swirl = 0.12 * _noise("smooth", x, y, 1.2, rng)
    lie = 0.5 * x + 0.87 * y, 0.87 * x - 0.5 * y + swirl  # along the hair and across
    strand = (12 - 4 * breed.fur) / pet.scale**0.5
    hair = 0.7 * _noise("streaks", *lie, strand, rng) + 0.3 * _noise("smooth", *lie, strand, rng)
    colour *= 1 + (0.08 + 0.24 * breed.fur) * (hair - 0.5)[:, None]
    own = pet.colour[bone]
    hard = own[:, 0] >= 0
    colour[hard] = own[hard]

    around = _blur(depth[::FINE, ::FINE], max(size // 80, 1))[rows // FINE, columns // FINE]
    crease = np.clip((around - depth[rows, columns]) / (0.1 * pet.scale), 0, 1)
    shade = 0.5 + 0.62 * np.clip(lit * 0.8 + 0.2, 0, 1) - 0.14 * np.clip(normal[:, 1], 0, 1) - 0.35 * crease
    warm, cool = np.array((1.04, 1.0, 0.94), np.float32), np.array((0.92, 0.96, 1.06), np.float32)
    weight = np.clip(lit, 0, 1)[:, None]
    colour *= shade[:, None] * (warm * weight + cool * (1 - weight))
    glint = np.clip(lit, 0, 1) ** 24 * np.where(hard, 60, 12 * (1 - breed.fur))
    rim = 26 * (1 - np.clip(normal[:, 2], 0, 1)) ** 2 * np.clip(-normal[:, 1], 0, 1)
    colour += (glint + rim)[:, None]

    painted = np.zeros((size, size, 3), np.float32)
    painted[rows, columns] = np.clip(colour, 0, 255)
    return painted


def _coat(breed: Breed, body: Array, u: Array, v: Array, extremity: Array, rng: Generator) -> Array:
    """Colour of the fur at points of the body."""
    base, mark = _colour(breed.base, rng), _colour(breed.mark, rng)
    x, y, z = body.T
    broad = _noise("smooth", x + 0.3 * z, y + 0.5 * z, 1.6, rng)
    wobble = _noise("smooth", x, y + z, 4, rng)
    if breed.pattern == "tabby":
        amount = 0.75 * _step(np.sin(2 * np.pi * (5.5 * u + 1.6 * wobble)), 0.0, 0.7)
    elif breed.pattern == "brindle":
        amount = 0.7 * _step(np.sin(2 * np.pi * (9 * u + 3 * wobble)), -0.2, 0.5)
    elif breed.pattern == "spots":
        amount = 0.85 * _step(_noise("smooth", x + 0.4 * z, y + 0.4 * z, 7, rng), 0.56, 0.66)
    elif breed.pattern == "patches":
        amount = _step(broad, 0.5, 0.54) * (1 - _step(extremity, 0.75, 0.95))
    elif breed.pattern == "points":
        amount = 0.9 * _step(extremity + 0.2 * (broad - 0.5), 0.45, 0.85)
    elif breed.pattern == "saddle":
        amount = _step(y + 0.25 * (broad - 0.5), -0.02, 0.06) * (1 - _step(extremity, 0.15, 0.35))
    else:
        amount = 0.35 * _step(broad, 0.4, 0.9)
    colour = base + (mark - base) * amount[:, None]
    pale = 0.4 * _step(-y, 0.02, 0.25) * (1 - extremity)
    return colour + (np.minimum(colour * 1.25 + 25, 245) - colour) * pale[:, None]


# ---------------------------------------------------------------------------------------------------- the scene


def _scene(size: int, pet: Placed, pose: str, light: Array, rng: Generator) -> Array:
    """Wall, floor and things, in fur colours, with the shadow of the pet."""
    x, y = np.meshgrid((np.arange(size) + 0.5) / size, (np.arange(size) + 0.5) / size)
    x, y = x.astype(np.float32), y.astype(np.float32)
    wall = _surface(_WALLS[rng.integers(len(_WALLS))], x * 2, y * 2, rng)
    if pose != "portrait":
        near = 0.35 / (y - pet.horizon + 0.3)
        floor = _surface(_FLOORS[rng.integers(len(_FLOORS))], (x - 0.5) * near * 3 + 7, near * 4, rng)
        below = _step(y, pet.horizon - 0.006, pet.horizon + 0.006)[..., None]
        wall = wall * (1 - 0.25 * np.exp(-np.abs(y - pet.horizon) * 30))[..., None]
        wall = wall * (1 - below) + floor * below
    for _ in range(rng.integers(0, 4)):
        _thing(wall, x, y, pet.horizon, light, rng)
    blur = max(1, round(size / 96 * rng.uniform(0.4, 1.6)))
    if pose == "portrait":
        blur *= 2
    if rng.random() < 0.6:
        wall = _blur(wall, blur)
    if pose != "portrait":
        wall *= 1 - rng.uniform(0.5, 0.75) * _shadow(pet, size)[..., None]
    across = (x - 0.5) * np.sign(light[0]) + (0.5 - y) * 0.5
    return wall * (1 + rng.uniform(0.1, 0.35) * across)[..., None]


_WALLS = ("plain", "stripes", "bricks", "fabric", "blobs", "hedge", "panels")
_FLOORS = ("planks", "tiles", "carpet", "grass", "fabric", "rug")


def _surface(kind: str, x: Array, y: Array, rng: Generator) -> Array:
    """A textured surface in two colours that fur has."""
    names = list(COLOURS)
    one, two = (_colour(names[i], rng) for i in rng.integers(len(names), size=2))
    scale = rng.uniform(0.8, 1.4)
    fine = _noise("fine", x, y, 12 * scale, rng)
    smooth = _noise("smooth", x, y, 1.2 * scale, rng)
    grain, gap = 0.12 * (fine - 0.5), 0.0
    if kind == "plain":
        amount = smooth
    elif kind == "stripes":
        amount = _step(np.sin(2 * np.pi * x * 4 * scale), -0.2, 0.2)
    elif kind == "panels":
        amount, gap = 0.3 * smooth, _lines(x * 3 * scale, 0.05)
    elif kind == "bricks":
        row = np.floor(y * 5 * scale)
        amount = 0.8 * _noise("white", np.floor(x * 2.5 * scale + row % 2 / 2), row, 1, rng)
        gap = np.maximum(_lines(x * 2.5 * scale + row % 2 / 2, 0.06), _lines(y * 5 * scale, 0.1))
    elif kind == "fabric":
        weave = np.sin(x * 90 * scale) * np.sin(y * 90 * scale)
        amount, gap = 0.4 * smooth + 0.1 * weave, 0.8 * _lines(x * 1.1 + 0.3, 0.03)
    elif kind in ("blobs", "rug"):
        amount = _step(_noise("smooth", x, y, 3 * scale, rng), 0.46, 0.56)
    elif kind in ("hedge", "grass"):
        two, one = one * 0.45 + np.array((60, 82, 38), np.float32), two * 0.35 + np.array((96, 112, 58), np.float32)
        blades = _noise("streaks", y * 0.5, x, 9 * scale, rng) if kind == "grass" else fine
        amount, grain = 0.4 * smooth + 0.6 * blades, 0.3 * (blades - 0.5)
    elif kind == "planks":
        row = np.floor(x * 3 * scale)
        amount = 0.45 * _noise("white", row, row, 1, rng) + 0.5 * _noise("streaks", y * 0.6, x, 5, rng)
        gap = _lines(x * 3 * scale, 0.04)
        two = one * 0.6
    elif kind == "tiles":
        x, y = x * 2 * scale, y * 2 * scale
        amount = 0.15 * smooth + 0.7 * ((np.floor(x) + np.floor(y)) % 2)
        gap = np.maximum(_lines(x, 0.05), _lines(y, 0.05))
    else:  # carpet
        amount, grain = 0.5 * smooth, 0.35 * (fine - 0.5)
    colour = one + (two - one) * np.clip(amount, 0, 1)[..., None]
    return colour * (1 + grain - 0.4 * gap)[..., None]


def _lines(x: Array, width: float) -> Array:
    """1 on a thin line at every whole number."""
    return (np.abs(x - np.round(x)) < width / 2).astype(np.float32)


def _thing(scene: Array, x: Array, y: Array, horizon: float, light: Array, rng: Generator) -> None:
    """Paints a ball, a cushion or a box with its own shadow into the scene."""
    colour = _colour(list(COLOURS)[rng.integers(len(COLOURS))], rng)
    wide, tall = rng.uniform(0.06, 0.22), rng.uniform(0.06, 0.2)
    cx, cy = rng.uniform(0, 1), rng.uniform(horizon, 1.0)
    kind = rng.integers(3)
    if kind == 0:
        wide = tall = 0.5 * (wide + tall)
    px, py = (x - cx) / wide, (y - cy + tall) / tall
    power = (2, 4, 12)[kind]
    inside = 1 - _step(np.abs(px) ** power + np.abs(py) ** power, 0.9, 1.1)
    bulge = np.sqrt(np.maximum(1.05 - px * px - py * py, 0.02)) if kind < 2 else 0.6
    shade = 0.55 + 0.4 * np.clip(light[0] * px - light[1] * py + light[2] * bulge, -0.3, 1)
    if kind == 1:
        shade = shade * (1 + 0.3 * (_noise("fine", x, y, 14, rng) - 0.5))
    if rng.random() < 0.4:
        shade = shade * (1 - 0.35 * _step(np.sin((px + 0.5 * py) * 7), -0.1, 0.1))
    ground = 0.4 * np.exp(-2.0 * (px * px * 0.7 + ((y - cy) / (0.3 * tall)) ** 2))
    scene *= (1 - ground * (1 - inside))[..., None]
    scene += (colour * shade[..., None] - scene) * inside[..., None]


def _shadow(pet: Placed, size: int) -> Array:
    """Darkness that the bones throw on the ground: soft, and drawn coarsely."""
    coarse = max(size // 2, 16)
    grid = (np.arange(coarse, dtype=np.float32) + 0.5) / coarse
    distance = np.full((coarse, coarse), 9, np.float32)
    flat = 2.2  # the ground is seen at a slant
    for (ax, ay, _), (bx, by, _), ra, rb, colour in zip(
        *pet.ground.tolist(), pet.start_radius.tolist(), pet.end_radius.tolist(), pet.colour, strict=True
    ):
        if colour[0] >= 0 or max(ra, rb) < 0.02:
            continue
        x, y = grid - ax, (grid[:, None] - ay) * flat
        ex, ey = bx - ax, (by - ay) * flat
        t = np.clip((x * ex + y * ey) / (ex * ex + ey * ey + 1e-8), 0, 1)
        np.minimum(distance, _length(x - t * ex, y - t * ey) - (ra + (rb - ra) * t), out=distance)
    dark = 1 - _step(distance, -0.05, 0.04)
    repeat = -(-size // coarse)
    return _blur(dark.repeat(repeat, 0).repeat(repeat, 1)[:size, :size], max(1, size // 48))


# ---------------------------------------------------------------------------------------------------- small tools


def _trimap(mask: NDArray[np.bool_]) -> Pixels:
    """Labels of a fine mask: a border of BORDER_WIDTH around the silhouette, pet within, background without."""
    reach = BORDER_WIDTH / 2 * len(mask)
    inner, outer = mask.copy(), mask.copy()
    whole = int(reach)
    padded = np.pad(mask, whole, mode="edge")
    for dy in range(-whole, whole + 1):
        for dx in range(-whole, whole + 1):
            if dx * dx + dy * dy <= reach * reach:
                shifted = padded[whole + dy :, whole + dx :][: len(mask), : len(mask)]
                inner &= shifted
                outer |= shifted
    labels = np.full((len(mask) // FINE,) * 2, BORDER, np.uint8)
    labels[_shrink(inner.astype(np.float32)) > 0.5] = PET
    labels[_shrink(outer.astype(np.float32)) < 0.5] = BACKGROUND
    return labels


def _shrink(fine: Array) -> Array:
    corners = [fine[row::FINE, column::FINE] for row in range(FINE) for column in range(FINE)]
    return sum(corners[1:], corners[0]) / np.float32(FINE * FINE)


def _blur(picture: Array, radius: int) -> Array:
    """Two box blurs, near enough to a Gaussian."""
    for axis in (0, 1, 0, 1):
        pad = [(radius + 1, radius) if a == axis else (0, 0) for a in range(picture.ndim)]
        total = np.cumsum(np.pad(picture, pad, mode="edge"), axis, dtype=np.float64)
        width, length = 2 * radius + 1, picture.shape[axis]
        picture = (np.take(total, range(width, width + length), axis) - np.take(total, range(length), axis)) / width
    return picture.astype(np.float32)


def _step(x: Array, low: float, high: float) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _length(x: Array, y: Array) -> Array:
    """As `np.hypot`, which takes five times as long, for it minds numbers that can't be squared."""
    return np.sqrt(x * x + y * y)


def _unit(vector: ArrayLike) -> Array:
    vector = np.asarray(vector, np.float32)
    return vector / np.linalg.norm(vector)


def _colour(name: str, rng: Generator) -> Array:
    return np.clip(np.array(COLOURS[name]) * rng.uniform(0.86, 1.12) + rng.normal(0, 5, 3), 12, 250).astype(np.float32)


def _noise(kind: str, x: Array, y: Array, frequency: float, rng: Generator) -> Array:
    """Noise from 0 to 1 at points of the plane, about `frequency` features to a unit; each call lies elsewhere."""
    tile, (right, down) = _tiles()[kind], rng.integers(256, size=2)
    cells = frequency * (1 if kind == "white" else 8)
    column, row = np.floor(x * cells + right).astype(np.int32), np.floor(y * cells + down).astype(np.int32)
    return tile[row % len(tile), column % len(tile)]


@cache
def _tiles() -> dict[str, Array]:
    """Periodic noise, equalised to 0 ... 1: white, fine (3 pixels), smooth (blobs of 8) and streaks along x."""
    rng = np.random.default_rng(37)
    white = rng.random((256, 256), np.float32)

    def blurred(rows: int, columns: int) -> Array:
        tile = rng.random((256, 256), np.float32)
        for axis, width in ((0, rows), (1, columns)) * 2:
            tile = sum(np.roll(tile, s, axis) for s in range(width)) / width
        return (tile.ravel().argsort().argsort().reshape(tile.shape) / tile.size).astype(np.float32)

    return {"white": white, "fine": blurred(3, 3), "smooth": blurred(8, 8), "streaks": blurred(2, 10)}


def contact_sheet(images: Pixels, labels: Pixels, *, columns: int = 8, zoom: int = 2) -> Pixels:
    """Lays pictures out in rows, each row with its trimaps below it (pet white, border gray, background black)."""
    grays = np.array((255, 0, 128), np.uint8)
    size, rows = images.shape[1], []
    for first in range(0, len(images), columns):
        for strip in (images[first : first + columns], grays[labels[first : first + columns], None].repeat(3, -1)):
            row = np.zeros((size, columns * size, 3), np.uint8)
            row[:, : len(strip) * size] = np.hstack(list(strip))
            rows.append(row)
    return np.vstack(rows).repeat(zoom, 0).repeat(zoom, 1)
