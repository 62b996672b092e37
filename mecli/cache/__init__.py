"""The cache: the only room that imports h5py. This text is its schema, version 2.

::

    /                              attrs: schema = 2, options = JSON of the extraction options
    /clips/<corpus>/<subject>/<name>     one group per clip id
      attrs  key      hex digest of source identity, extraction options and schema
             meta     JSON: the fields of `ClipRecord` that are not arrays
             sha256   hex digest of options, key, meta and all arrays as stored
      flow         (T, H, W, 2) int16   displacement from step 0, dx right, dy down, on a grid
                                        over the aligned face; attrs: scale_px, the pixels of
                                        the 240×280 face that one count stands for
      apex_flow    (H, W, 2) int16      the same, of the apex frame; attrs: scale_px
      roi_frames   (T, R, 48, 48, 3) uint8   RGB, one picture per step and ROI
      roi_boxes    (R, 4) float32       x0, y0, x1, y1 in the 240×280 face
      steps        (T,) float32         frame position in the clip of each step
      landmarks    (P, 68, 2) float32   pixels of the source frame
      landmark_positions  (P,) int32    frame position of each row (onset; apex)
      transforms   (F, 2, 3) float32    source frame → 240×280 face; row k is frame
                                        meta.first_frame + k
      curve        (F,) float32         motion since the onset of each frame, face pixels

All text is of fixed length. A clip that failed has no arrays; `meta` then says
``"status": "failed"`` and the reason. A corpus of ready-made flow images has roi_frames,
landmarks and transforms of length 0.

Beside the file, ``<cache>.parts/<key>.h5`` holds clips that are extracted but not yet
merged, each a whole cache of one clip. Every file appears by rename only, so a kill at any
moment leaves the old state or the new one. Reading trusts nothing: links, layouts, filters
and sizes are checked before HDF5 is asked for data, in a process that may crash alone.
"""

from __future__ import annotations

import os

# Without this an unknown filter in a hostile file makes HDF5 load every library it finds.
os.environ.setdefault("HDF5_PLUGIN_PRELOAD", "::")

from mecli.cache.merging import check_options, combine, discard, merge
from mecli.cache.opened import Cache, open_cache
from mecli.cache.parts import PARTS, add, parts_folder, waiting_keys
from mecli.cache.reading import Reader
from mecli.cache.stored import SCHEMA
from mecli.cache.writing import clip_image

__all__ = [
    "PARTS",
    "SCHEMA",
    "Cache",
    "Reader",
    "add",
    "check_options",
    "clip_image",
    "combine",
    "discard",
    "merge",
    "open_cache",
    "parts_folder",
    "waiting_keys",
]
