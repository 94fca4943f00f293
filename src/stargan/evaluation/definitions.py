"""What every figure of a report means."""

from dataclasses import dataclass

from stargan.evaluation.features import NAME
from stargan.evaluation.metrics import ABOVE, BESIDE

INCEPTION = "inception_"


@dataclass(frozen=True)
class Metric:
    """What a figure means.

    Attributes:
        definition: In words that stand behind its name.
        better: 1 where more is better, -1 where less is, 0 where neither holds.
        ranks: Whether pictures are ranked by it; not where another one ranks them alike.
    """

    definition: str
    better: int
    ranks: bool = False


def _distances(prefix: str, space: str, remark: str) -> dict[str, Metric]:
    to = "to real pictures of the target domain (of the training part), mean over tasks"
    return {
        f"{prefix}kid": Metric(f"unbiased kernel distance (KID) x 1000 of translations {to}, in {space} features", -1),
        f"{prefix}idle_kid": Metric("the same of the untouched sources: doing nothing", 0),
        f"{prefix}real_kid": Metric("the same of real held-out pictures of the target domain: the best to expect", 0),
        f"{prefix}fid": Metric(f"Frechet distance (FID) of translations {to}, in {space} features{remark}", -1),
    }


DEFINITIONS: dict[str, Metric] = {
    "error": Metric(
        "share of translations in which a classifier does not find all that was asked for, mean of all judges", -1
    ),
    "real_error": Metric("the classifiers' own error about the same labels, on the real sources", 0),
    "hit": Metric("share of the labels asked for that a classifier finds, mean of all judges", 1, ranks=True),
    "kept": Metric(
        "share of the labels not asked for that a classifier finds as they were, mean of all judges", 1, ranks=True
    ),
    "real_kept": Metric("the same on the untouched sources: what doing nothing scores", 0),
    **_distances("", NAME, "; not the FID of papers"),
    **_distances(INCEPTION, "the given Inception network's", "; as in papers if that file is"),
    "rec_l1": Metric("mean absolute difference after translating there and back, in units of [-1, 1]", -1),
    "rec_psnr": Metric("PSNR after translating there and back, dB", 1, ranks=True),
    "rec_ssim": Metric("SSIM after translating there and back", 1, ranks=True),
    "rec_perceptual": Metric(f"perceptual distance after translating there and back, {NAME} features", -1, ranks=True),
    "identity": Metric(
        "distance between dlib's descriptions of the face before and after; below 0.6 it is taken for the same person",
        -1,
        ranks=True,
    ),
    "stranger": Metric("the same between the source and another picture: what another person scores", 0),
    "background": Metric(
        f"mean absolute change beside ({BESIDE:.0%} of the width at either side) and above ({ABOVE:.0%} of the height) "
        "the face, in units of [-1, 1]",
        -1,
        ranks=True,
    ),
    "sharpness": Metric("variance of the Laplacian, relative to the source's; 1 is as sharp", 0, ranks=True),
    "truth_psnr": Metric("PSNR to the true translation, dB", 1, ranks=True),
    "idle_psnr": Metric("the same of the untouched source: doing nothing", 0),
    "truth_ssim": Metric("SSIM to the true translation", 1, ranks=True),
    "idle_ssim": Metric("the same of the untouched source: doing nothing", 0),
    "truth_perceptual": Metric(f"perceptual distance to the true translation, {NAME} features", -1, ranks=True),
    "idle_perceptual": Metric("the same of the untouched source: doing nothing", 0),
}
