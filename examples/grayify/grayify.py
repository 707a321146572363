# SPDX-License-Identifier: Apache-2.0
"""Turn every photograph of a batch into an upright grey thumbnail of at most 256 x 256 pixels."""

from pathlib import Path

import oscar_batch_worker
from PIL import Image, ImageOps


def make_thumbnail(source: Path, target: Path) -> None:
    """The photograph in grey, without the original's metadata."""
    with Image.open(source, formats=("JPEG",)) as image:
        image.draft("L", (512, 512))  # decodes a large JPEG at a fraction of its size
        image.thumbnail((256, 256))
        upright = ImageOps.exif_transpose(image).convert("L")
    upright.info.clear()
    upright.save(target, "JPEG", quality=85)


if __name__ == "__main__":
    for item in oscar_batch_worker.items():
        with item:
            make_thumbnail(Path(item.input), Path(item.output_dir, item.name + ".gray.jpg"))
