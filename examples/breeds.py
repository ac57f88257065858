"""The looks of the 37 breeds that `drawn_pets` draws, and the colours that fur and furniture share."""

from dataclasses import dataclass

COLOURS = {
    "black": (50, 46, 46),
    "slate": (86, 86, 92),
    "grey": (134, 132, 134),
    "silver": (184, 180, 176),
    "white": (238, 233, 224),
    "cream": (228, 208, 174),
    "fawn": (208, 170, 124),
    "gold": (198, 148, 88),
    "red": (172, 102, 56),
    "brown": (106, 70, 46),
    "pink": (224, 182, 166),
}


@dataclass(frozen=True)
class Breed:
    """The looks of one breed; lengths in units of about a shoulder height.

    Attributes:
        name: Its name as in the Oxford-IIIT Pet data set, which writes cats with a capital.
        base: Main colour of the coat.
        mark: Colour of the markings.
        pattern: solid, tabby, spots, patches, points, brindle or saddle.
        ears: pointed, floppy or folded.
        ear: Length of the ears, 1 is usual.
        muzzle: Length of the muzzle in head radii.
        head: Radius of the head.
        length: Shoulder to hip.
        girth: Radius of the chest.
        leg: Length of the legs.
        tail: thin, bushy, curled or stub.
        fur: Length of the fur, 0 (naked) to 1.
    """

    name: str
    base: str
    mark: str
    pattern: str
    ears: str
    ear: float
    muzzle: float
    head: float
    length: float
    girth: float
    leg: float
    tail: str
    fur: float

    @property
    def cat(self) -> bool:
        """Cat or dog."""
        return self.name[0].isupper()


# fmt: off
BREEDS = (
    #     name                         base      mark      pattern    ears       ear  muzzle head length girth leg tail     fur
    Breed("Abyssinian",                "red",    "brown",  "solid",   "pointed", 1.2, 0.36, 0.24, 0.72, 0.18, 0.5,  "thin",   0.2),
    Breed("Bengal",                    "gold",   "black",  "spots",   "pointed", 0.9, 0.36, 0.24, 0.82, 0.2,  0.48, "thin",   0.2),
    Breed("Birman",                    "cream",  "brown",  "points",  "pointed", 0.9, 0.28, 0.26, 0.74, 0.23, 0.38, "bushy",  0.8),
    Breed("Bombay",                    "black",  "brown",  "solid",   "pointed", 1.0, 0.3,  0.25, 0.74, 0.2,  0.45, "thin",   0.1),
    Breed("British_Shorthair",         "slate",  "grey",   "solid",   "pointed", 0.7, 0.24, 0.29, 0.7,  0.26, 0.36, "thin",   0.4),
    Breed("Egyptian_Mau",              "silver", "slate",  "spots",   "pointed", 1.1, 0.34, 0.24, 0.74, 0.18, 0.5,  "thin",   0.2),
    Breed("Maine_Coon",                "gold",   "brown",  "tabby",   "pointed", 1.2, 0.42, 0.26, 0.92, 0.24, 0.45, "bushy",  1.0),
    Breed("Persian",                   "cream",  "white",  "solid",   "pointed", 0.6, 0.16, 0.3,  0.68, 0.27, 0.3,  "bushy",  1.0),
    Breed("Ragdoll",                   "white",  "slate",  "points",  "pointed", 0.9, 0.28, 0.27, 0.84, 0.24, 0.4,  "bushy",  0.9),
    Breed("Russian_Blue",              "grey",   "slate",  "solid",   "pointed", 1.1, 0.34, 0.23, 0.74, 0.17, 0.5,  "thin",   0.2),
    Breed("Siamese",                   "cream",  "black",  "points",  "pointed", 1.3, 0.42, 0.22, 0.78, 0.16, 0.54, "thin",   0.1),
    Breed("Sphynx",                    "pink",   "fawn",   "patches", "pointed", 1.5, 0.34, 0.23, 0.72, 0.18, 0.48, "thin",   0.0),
    Breed("american_bulldog",          "white",  "gold",   "patches", "folded",  0.9, 0.5,  0.28, 0.8,  0.28, 0.45, "thin",   0.1),
    Breed("american_pit_bull_terrier", "brown",  "white",  "solid",   "folded",  0.9, 0.62, 0.26, 0.82, 0.25, 0.5,  "thin",   0.1),
    Breed("basset_hound",              "white",  "red",    "patches", "floppy",  1.7, 0.85, 0.27, 1.1,  0.25, 0.2,  "thin",   0.2),
    Breed("beagle",                    "gold",   "black",  "saddle",  "floppy",  1.1, 0.7,  0.24, 0.8,  0.22, 0.44, "thin",   0.2),
    Breed("boxer",                     "fawn",   "black",  "points",  "folded",  0.9, 0.42, 0.25, 0.78, 0.24, 0.6,  "stub",   0.1),
    Breed("chihuahua",                 "fawn",   "cream",  "solid",   "pointed", 1.6, 0.48, 0.27, 0.62, 0.17, 0.38, "curled", 0.2),
    Breed("english_cocker_spaniel",    "gold",   "red",    "solid",   "floppy",  1.5, 0.66, 0.24, 0.78, 0.22, 0.42, "stub",   0.8),
    Breed("english_setter",            "white",  "slate",  "spots",   "floppy",  1.2, 0.85, 0.22, 0.9,  0.21, 0.6,  "bushy",  0.7),
    Breed("german_shorthaired",        "silver", "brown",  "patches", "floppy",  1.1, 0.82, 0.22, 0.88, 0.22, 0.62, "stub",   0.1),
    Breed("great_pyrenees",            "white",  "cream",  "solid",   "floppy",  0.9, 0.66, 0.27, 0.92, 0.3,  0.52, "bushy",  1.0),
    Breed("havanese",                  "cream",  "fawn",   "patches", "floppy",  1.2, 0.44, 0.27, 0.72, 0.25, 0.26, "curled", 1.0),
    Breed("japanese_chin",             "white",  "black",  "patches", "floppy",  1.1, 0.26, 0.26, 0.66, 0.22, 0.32, "bushy",  0.9),
    Breed("keeshond",                  "grey",   "black",  "points",  "pointed", 0.8, 0.54, 0.26, 0.74, 0.28, 0.42, "curled", 1.0),
    Breed("leonberger",                "gold",   "black",  "points",  "floppy",  1.0, 0.72, 0.25, 0.94, 0.29, 0.54, "bushy",  1.0),
    Breed("miniature_pinscher",        "red",    "black",  "saddle",  "pointed", 1.2, 0.68, 0.22, 0.66, 0.18, 0.54, "stub",   0.0),
    Breed("newfoundland",              "black",  "brown",  "solid",   "floppy",  0.9, 0.64, 0.28, 0.94, 0.31, 0.5,  "bushy",  1.0),
    Breed("pomeranian",                "gold",   "cream",  "solid",   "pointed", 0.7, 0.4,  0.28, 0.6,  0.28, 0.28, "curled", 1.0),
    Breed("pug",                       "fawn",   "black",  "points",  "folded",  0.8, 0.24, 0.29, 0.7,  0.26, 0.32, "curled", 0.1),
    Breed("saint_bernard",             "white",  "red",    "patches", "floppy",  0.9, 0.62, 0.29, 0.94, 0.3,  0.52, "bushy",  0.7),
    Breed("samoyed",                   "white",  "silver", "solid",   "pointed", 0.8, 0.56, 0.26, 0.8,  0.28, 0.48, "curled", 1.0),
    Breed("scottish_terrier",          "black",  "slate",  "solid",   "pointed", 0.9, 0.85, 0.25, 0.8,  0.23, 0.22, "stub",   0.8),
    Breed("shiba_inu",                 "red",    "cream",  "solid",   "pointed", 0.9, 0.56, 0.25, 0.74, 0.22, 0.48, "curled", 0.5),
    Breed("staffordshire_bull_terrier", "brown",  "black",  "brindle", "folded",  0.9, 0.5,  0.28, 0.78, 0.26, 0.44, "thin",   0.1),
    Breed("wheaten_terrier",           "fawn",   "gold",   "solid",   "folded",  1.1, 0.66, 0.25, 0.74, 0.23, 0.5,  "stub",   0.9),
    Breed("yorkshire_terrier",         "gold",   "slate",  "saddle",  "pointed", 0.9, 0.44, 0.25, 0.68, 0.2,  0.28, "stub",   1.0),
)
# fmt: on
