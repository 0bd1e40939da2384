"""Colours for many groups that stay apart for every eye: python tools/palette.py prints them, for `atlas.js`.

Twenty colours of sRGB that can be seen on white and on the dark ground (contrast 2 or nearly), chosen so that the least
distance between any two is large: in OKLab (Ottosson 2020), as they are and as eyes without one kind of cone see them
(Machado et al. 2009). The first 14 are improved together; shorter lists are their beginning.
"""

import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.float64]
EYES: dict[str, Colours] = {
    "usual": np.eye(3),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no blue": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}
WEIGHTS = {"usual": 1.0, "no green": 1.25, "no red": 1.25, "no blue": 1.1}
LMS = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
LAB = np.array([[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.808675766]])  # fmt: skip
SURE, ALL = 14, 20
FIRST = "#0072B2"


def linear(srgb: Colours) -> Colours:
    """Light of sRGB values of 0 to 1."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def seen(srgb: Colours) -> dict[str, Colours]:
    """Colours in OKLab, as each kind of eye sees them."""
    light = linear(srgb)
    return {eye: np.cbrt(np.clip(light @ m.T, 0, 1) @ LMS.T) @ LAB.T for eye, m in EYES.items()}


def read(colours: list[str]) -> Colours:
    """`#0072B2` as three numbers of 0 to 1."""
    return np.array([[int(one[at : at + 2], 16) / 255 for at in (1, 3, 5)] for one in colours])


def least_distances(colours: list[str]) -> dict[str, float]:
    """The distance of the two that are most alike, for each kind of eye."""
    far = {eye: np.linalg.norm(lab[:, None] - lab[None], axis=2) for eye, lab in seen(read(colours)).items()}
    return {eye: float(d[np.triu_indices(len(d), 1)].min()) for eye, d in far.items()}


def chosen() -> list[str]:
    """The twenty colours, the first the blue that is nearest to `FIRST`."""
    steps = np.linspace(0, 1, 18)
    every = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    light = linear(every) @ np.array([0.2126, 0.7152, 0.0722])
    lab = seen(every)["usual"]
    every = every[(1.05 / (light + 0.05) >= 1.9) & ((light + 0.05) / 0.0564 >= 2) & (np.hypot(*lab.T[1:]) > 0.05)]
    labs = seen(every)

    def far(one: int) -> Colours:
        return np.min([WEIGHTS[eye] * np.linalg.norm(lab - lab[one], axis=1) for eye, lab in labs.items()], axis=0)

    blue = int(np.linalg.norm(every - read([FIRST]), axis=1).argmin())
    starts = [blue, *np.random.default_rng(0).choice(len(every), 60, replace=False)]
    tried = [_greedy(int(start), SURE, far) for start in starts]
    best = max(tried, key=lambda some: min(far(a)[b] for i, a in enumerate(some) for b in some[:i]))
    for place in list(range(SURE)) * 6:
        best[place] = int(np.min([far(other) for at, other in enumerate(best) if at != place], axis=0).argmax())
    order = [min(best, key=lambda one: float(np.linalg.norm(every[one] - read([FIRST])[0])))]
    while len(order) < SURE:
        left = [one for one in best if one not in order]
        order.append(max(left, key=lambda one: float(far(one)[order].min())))
    while len(order) < ALL:
        order.append(int(np.min([far(one) for one in order], axis=0).argmax()))
    return ["#{:02X}{:02X}{:02X}".format(*np.round(every[one] * 255).astype(int)) for one in order]


def _greedy(start: int, count: int, far) -> list[int]:
    found, least = [start], far(start)
    while len(found) < count:
        found.append(int(least.argmax()))
        least = np.minimum(least, far(found[-1]))
    return found


if __name__ == "__main__":
    colours = chosen()
    print(colours)
    for some in (8, 12, 14, 20):
        print(some, {eye: round(d, 3) for eye, d in least_distances(colours[:some]).items()})
