"""Numbers of the edit generator, and of what trains it, that are the same in every engine and that are not settings."""

# ---------------------------------------------------------------- the generator

GRID = 32  # cells a side into which an image of any size is folded
MAPS = 64  # pixels a side at which the mask, the gains and the offsets are drawn
EMBEDDING = 64  # length of the vector that represents the change of the labels
GROUPS = 16  # of the group norms
SLOPE = 0.2  # of the leaky ReLUs
PALETTE = 32  # channels by which the palette compares cells
GRAY = (0.299, 0.587, 0.114)  # weights of red, green and blue (ITU-R BT.601)

# ---------------------------------------------------------------- the network with fixed weights

TAPS = (2, 4, 10, 15)  # blocks whose outputs are used: at a quarter, an eighth, a 16th and a 32nd of the size
CHANNELS = (24, 40, 112, 320)  # of these outputs

# ---------------------------------------------------------------- the discriminator

GAIN = 3.0  # of the heads' outputs, which spectral norms keep small
HEAD_WIDTH = 64  # channels of the heads

# ---------------------------------------------------------------- views of images for D

SHIFT = 0.1  # largest shift of whole pixels, as a fraction of the side
BRIGHTNESS, SATURATION, CONTRAST = 0.15, 0.3, 0.25  # largest changes; brightness for values in [-1, 1]
HOLES, HOLE, HOLE_SPREAD = 0.4, 0.2, 0.25  # how many images have one; the fraction of its side, and how far it varies
ANGLE = 0.15  # largest rotation, in radians
FAR, NEAR = 0.12, 0.3  # how much farther away, or closer, a turned view may be, as a fraction of the side
INNER = 96  # pixels a side of turned views

# ---------------------------------------------------------------- losses

SMOOTHING = 0.05  # of targets of the classification
FOCUS = 0.7  # how far patches count by how much they were changed
MOST = 8.0  # largest factor of a patch
FLAT = 2.0  # from there on, tanh is flat
MISMATCH = 0.5  # weight of real images with labels that are not theirs, which count as fakes
EDITED = 0.25  # weight of translations in D's classification, whose truth is the labels before the change
KEPT = 2.0  # weight in G's loss of classes that should stay
CERTAIN, FORGET = 0.9, 0.01  # probability of a class before any is known; how much one image moves the mean
MASK, BOUNDS = 0.02, 0.1  # weights in G's loss: size of the mask, colours where tanh is flat
R1, R1_EVERY = 0.1, 16  # weight of the penalty on D's convolutional part, and steps between two of them

# ---------------------------------------------------------------- updates

CRITIC_RATE, PROJECTED_RATE = 2.0, 2.5  # learning rates of D's two parts, relative to that of G
