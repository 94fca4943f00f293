"""Faces in photos: find them, align them for a model, put the changes back into the photo."""

from stargan.faces.alignment import Alignment as Alignment
from stargan.faces.alignment import align as align
from stargan.faces.face import Face as Face
from stargan.faces.finder import find as find
from stargan.faces.pasting import put_back as put_back
from stargan.model.face_crop import CELEBA as CELEBA
from stargan.model.face_crop import FaceCrop as FaceCrop
