"""Which data a run uses, and how it is split."""

from __future__ import annotations

from dataclasses import dataclass

from lethe._check import LetheError, at_least, one_of
from lethe._check import fraction as check_fraction
from lethe._check import seed as check_seed
from lethe.data._augment import Augmentation
from lethe.data._augmentations import AUGMENTATIONS, augmentation
from lethe.data._decode import Decoder
from lethe.data._restricted_imagenet import GROUPINGS

DATASETS = ("digits", "cifar10", "cifar100", "svhn", "tiny-imagenet", "imagefolder", "restricted-imagenet")
FROM_FOLDERS = ("imagefolder", "restricted-imagenet")
"""Those whose images have any size."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The data set and its parts. Sizes are counts of images; the parts never overlap."""

    dataset: str = "digits"
    """digits (bundled with scikit-learn, 8x8), cifar10, cifar100, svhn, tiny-imagenet; imagefolder: your own images, a
    folder a class; or restricted-imagenet: groups of ImageNet's classes."""
    data_dir: str | None = None
    """Folder that holds cifar-10-batches-py, cifar-100-python, SVHN's .mat files or tiny-imagenet-200; of imagefolder
    and restricted-imagenet the one of train/CLASS/ and val/CLASS/ (or test/CLASS/; then val is for validation)."""
    download: bool = False
    """Fetch the data set into data-dir if it is not there."""
    svhn_extra: bool = False
    """Add SVHN's 531,131 extra images to its training images."""
    restricted_classes: int = 9
    """Of restricted-imagenet: the robustness literature's 9 classes, or the 14 balanced ones of LURE."""
    train_size: int | None = None
    """Training images; none: all that the other parts leave."""
    validation_size: int | None = None
    """Held-out images to choose the best epoch on; none: a tenth of the training images (digits: 297), or all of an
    imagefolder's own validation part."""
    test_size: int | None = None
    """Test images; none: all of the test set (digits: 500)."""
    split_seed: int = 0
    """Seed of the split and of the label noise; the run's seed does not change them."""
    label_noise: float = 0.0
    """Share of the training labels replaced by a wrong class."""
    image_size: int | None = None
    """Average-pool the images to this height and width. Of imagefolder and restricted-imagenet: resize the shorter
    side, and keep the centre of this size; none: 224."""
    short_side: int | None = None
    """Of imagefolder and restricted-imagenet: pixels that the shorter side is resized to before the centre is cut out;
    none: 256 for an image-size of 224, as is the custom on ImageNet, else image-size."""
    workers: int = 4
    """Processes that decode images which do not fit into memory; 0: none beside the run. No number depends on it."""
    augment: str = "none"
    """none; flip: mirror half of the images; crop-flip: random crop after reflect-padding by 4, and flip;
    crop-flip-zero: after black padding; crop-flip-rotate: and a turn by up to 15 degrees; random-resized-crop:
    ImageNet's, and flip; and of AMP's script vanilla (crop after grey padding, flip), cutout (vanilla and a black
    square), autoaugment (vanilla, a policy, and the square)."""

    def __post_init__(self) -> None:
        one_of("dataset", self.dataset, DATASETS)
        one_of("augment", self.augment, AUGMENTATIONS)
        check_fraction("label_noise", self.label_noise)
        check_seed("split_seed", self.split_seed)
        for name, minimum in (
            ("train_size", 1),
            ("validation_size", 0),
            ("test_size", 1),
            ("image_size", 1),
            ("short_side", 1),
            ("workers", 0),
        ):
            if (value := getattr(self, name)) is not None:
                at_least(name, value, minimum)
        if self.restricted_classes not in GROUPINGS:
            raise LetheError(f"restricted_classes must be 9 or 14, got {self.restricted_classes}.")
        if self.svhn_extra and self.dataset != "svhn":
            raise LetheError(f"svhn_extra adds images to svhn, not to {self.dataset}: leave it out.")
        if self.dataset in FROM_FOLDERS:
            decode = self.decoder()
            if decode.short_side < decode.size:
                raise LetheError(
                    f"short_side is {decode.short_side}, less than image_size, {decode.size}: the centre would have a "
                    "black edge. Make it as large at least."
                )
        elif self.short_side is not None:
            raise LetheError(f"short_side is of image folders, not of {self.dataset}: leave it out.")
        self.augmentation()

    def augmentation(self) -> Augmentation:
        """What is done to the training images."""
        return augmentation(self.augment, self.dataset)

    def decoder(self) -> Decoder:
        """How the files of an image folder become images."""
        size = 224 if self.image_size is None else self.image_size
        return Decoder(size, self.short_side or (256 if size == 224 else size))
