"""What of photos their new files do not hold, or hold otherwise, by name."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class PhotoLosses:
    """Names of pictures, and what is said of them in the end.

    Attributes:
        filled: written without their transparency.
        unsaid: read, of which words are left out.
        unnoted: read, of which the colour profile or what the camera noted is left out.
        whole: written under a name with both endings.
        placed: written with the place where they were taken, though something is concealed.
    """

    filled: list[str] = field(default_factory=list)
    unsaid: list[str] = field(default_factory=list)
    unnoted: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    placed: list[str] = field(default_factory=list)

    @property
    def remarks(self) -> list[str]:
        """A sentence for each kind of loss, with the first picture's name."""
        kinds = (
            (
                self.filled,
                "the picture's transparency is dropped, as this kind of file holds none; .png, "
                ".webp and .tif do",
            ),
            (
                self.unsaid,
                "words in it (XMP, IPTC or comments, such as captions and keywords) are left out",
            ),
            (
                self.unnoted,
                "its colour profile, or what the camera noted, is left out, which .jpg, .png and "
                ".webp hold here",
            ),
            (self.whole, "named so, as there is another picture of this name but for its ending"),
            (self.placed, "the photo says where it was taken (GPS), and so does what is written"),
        )
        said = []
        for names, what in kinds:
            if names:
                more = f" and {len(names) - 1} more" if names[1:] else ""
                said.append(f"{names[0]}{more}: {what}")
        return said
