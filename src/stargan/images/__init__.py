"""Images in and out: decode, turn upright, crop, resize, scale to [-1, 1] and back, grids, files."""

from stargan.images.arrays import Size as Size
from stargan.images.arrays import central_box as central_box
from stargan.images.arrays import fit as fit
from stargan.images.arrays import scale as scale
from stargan.images.arrays import to_array as to_array
from stargan.images.arrays import to_images as to_images
from stargan.images.arrays import to_pixels as to_pixels
from stargan.images.reading import FORMATS as FORMATS
from stargan.images.reading import MAX_BYTES as MAX_BYTES
from stargan.images.reading import MAX_FILE as MAX_FILE
from stargan.images.reading import MAX_PIXELS as MAX_PIXELS
from stargan.images.reading import SUFFIXES as SUFFIXES
from stargan.images.reading import ImageSource as ImageSource
from stargan.images.reading import Photo as Photo
from stargan.images.reading import decode as decode
from stargan.images.reading import is_image as is_image
from stargan.images.reading import name_of as name_of
from stargan.images.reading import read as read
from stargan.images.reading import read_photo as read_photo
from stargan.images.reading import size_of as size_of
from stargan.images.sheets import grid as grid
from stargan.images.sheets import shorten as shorten
from stargan.images.writing import kind as kind
from stargan.images.writing import save as save
from stargan.images.writing import write as write
