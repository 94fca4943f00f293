"""Faces in photos: find them and align them for a model; `photos.put_back` puts the changes back."""

from stargan.faces.alignment import align as align
from stargan.faces.face import Face as Face
from stargan.faces.finder import find as find
from stargan.faces.finder import find_again as find_again
from stargan.model.face_crop import CELEBA as CELEBA
from stargan.model.face_crop import FaceCrop as FaceCrop
