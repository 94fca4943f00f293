"""Parts of photos: cut them out for a model, and put the changes back into the photo."""

from stargan.photos.part import Part as Part
from stargan.photos.pasting import put_back as put_back
from stargan.photos.windows import Window as Window
from stargan.photos.windows import cover as cover
from stargan.photos.windows import cut as cut
