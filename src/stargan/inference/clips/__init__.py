"""Videos and animated images: read, faces followed through time, translated, written with their sound."""

from stargan.inference.clips.files import is_clip as is_clip
from stargan.inference.clips.translate import translate as translate
