"""The metrics of a report and their definitions."""

from dataclasses import dataclass

from stargan.evaluation.metrics import SIDES, TOP

INCEPTION = "inception_"
LITE2 = "lite2_"
_LITE0 = "EfficientNet-lite0"


@dataclass(frozen=True)
class Metric:
    """The definition of a metric.

    Attributes:
        definition: One phrase for people.
        better: 1 if higher is better, -1 if lower is better, 0 if neither.
        ranks: Whether the report shows the best and worst images by it; not if another metric gives the same order.
    """

    definition: str
    better: int
    ranks: bool = False


def _distances(prefix: str, space: str, remark: str) -> dict[str, Metric]:
    to = "and real training images of the target domain, mean over tasks"
    return {
        f"{prefix}kid": Metric(
            f"unbiased kernel distance (KID) x 1000 between translations {to}, in {space} features", -1
        ),
        f"{prefix}baseline_kid": Metric("KID x 1000 of the unchanged source images (identity baseline)", 0),
        f"{prefix}real_kid": Metric("KID x 1000 of real test images of the target domain", 0),
        f"{prefix}matched_kid": Metric(
            "KID x 1000 of real images with the labels of the translations: about the best to expect of a model; mean "
            "over the tasks with enough such images",
            0,
        ),
        f"{prefix}fid": Metric(f"Frechet distance (FID) between translations {to}, in {space} features{remark}", -1),
    }


DEFINITIONS: dict[str, Metric] = {
    "error": Metric(
        "share of translations in which a classifier does not find all requested labels, mean over classifiers; "
        "decided as if all values of a label were equally frequent",
        -1,
    ),
    "real_error": Metric("the classifiers' error on the same labels of the real source images", 0),
    "hit": Metric("share of the requested labels that a classifier finds, mean over classifiers", 1, ranks=True),
    "kept": Metric("share of the other labels that a classifier finds unchanged, mean over classifiers", 1, ranks=True),
    "real_kept": Metric("the same on the unchanged source images (identity baseline)", 0),
    **_distances("", _LITE0, "; not comparable with the FID in papers"),
    **_distances(LITE2, "EfficientNet-lite2", ", which no training uses; not comparable with the FID in papers"),
    **_distances(INCEPTION, "the given Inception network's", "; comparable with papers if the file is their network"),
    "rec_l1": Metric("mean absolute difference after translating there and back, in units of [-1, 1]", -1),
    "rec_psnr": Metric("PSNR after translating there and back, dB", 1, ranks=True),
    "rec_ssim": Metric("SSIM after translating there and back", 1, ranks=True),
    "rec_perceptual": Metric(
        f"perceptual distance after translating there and back, {_LITE0} features", -1, ranks=True
    ),
    "identity": Metric(
        "distance between dlib's face descriptors of source and translation; below 0.6 dlib sees the same person",
        -1,
        ranks=True,
    ),
    "other_person": Metric("the same distance between two different source images", 0),
    "background": Metric(
        f"mean absolute change beside the face ({SIDES:.0%} of the width on each side) and above it "
        f"({TOP:.0%} of the height), in units of [-1, 1]",
        -1,
        ranks=True,
    ),
    "face_lost": Metric(
        "share of translations in which a face finder misses the face, or finds an eye or the mouth at another place",
        -1,
    ),
    "eyes_changed": Metric(
        "mean absolute change around the eyes by requests for hair, in units of [-1, 1]", -1, ranks=True
    ),
    "mouth_changed": Metric(
        "mean absolute change around the mouth by requests for hair, in units of [-1, 1]", -1, ranks=True
    ),
    "odd_colours": Metric(
        "share of pixels of the inner face with a hue that 99 % of real training images of the target domain do not "
        "have at this place",
        -1,
        ranks=True,
    ),
    "baseline_odd_colours": Metric("the same of the unchanged source image (identity baseline)", 0),
    "sharpness": Metric("variance of the Laplacian relative to the source image; 1 is equally sharp", 0, ranks=True),
    "truth_psnr": Metric("PSNR to the true translation, dB", 1, ranks=True),
    "baseline_psnr": Metric("PSNR of the unchanged source image to the true translation (identity baseline), dB", 0),
    "truth_ssim": Metric("SSIM to the true translation", 1, ranks=True),
    "baseline_ssim": Metric("SSIM of the unchanged source image to the true translation (identity baseline)", 0),
    "truth_perceptual": Metric(f"perceptual distance to the true translation, {_LITE0} features", -1, ranks=True),
    "baseline_perceptual": Metric(
        "perceptual distance of the unchanged source image to the true translation (identity baseline)", 0
    ),
}
