"""Closed captions, which broadcasts carry within the pictures."""

from __future__ import annotations

from av.video.frame import VideoFrame

from stream.pictures.references import has_captions
from stream.sinks._encoders import EncoderChoice

# A film that has captions has them with nearly all pictures.
_FIRST, _EVERY = 4, 64


class Captions:
    """Finds out whether captions go into the output, where the pictures have any."""

    def __init__(self, choice: EncoderChoice) -> None:
        """Takes the encoder that they are to pass through."""
        self._choice = choice
        self._count = 0
        self._lost = False

    def look(self, given: VideoFrame, encoded: VideoFrame) -> None:
        """Looks at some of the pictures.

        Args:
            given: a picture as the sink gets it.
            encoded: the same one as the encoder gets it.
        """
        if not self._lost and (self._count < _FIRST or self._count % _EVERY == 0):
            kept = self._choice.keeps_captions
            self._lost = has_captions(given) and not (kept and has_captions(encoded))
        self._count += 1

    @property
    def remarks(self) -> list[str]:
        """That they are lost, in a sentence."""
        if not self._lost:
            return []
        if self._choice.keeps_captions:
            return ["the closed captions are lost with converting or fitting the pictures"]
        return [f"the closed captions are lost: {self._choice.name} does not keep them; h264 does"]
