"""The cache: the only room that imports h5py. This text is its schema, version 1.

::

    /                              attrs: schema = 1, mecli = version that wrote it
    /clips/<corpus>/<subject>/<name>     one group per clip id
      attrs  key          hex digest of source identity, extraction options and schema
             status       "ok" or "failed"
             reason       why it failed ("" when ok)
             meta         JSON: the fields of `ClipRecord` that are not arrays
      flow         (T, H, W, 2) int16   displacement from step 0, dx right, dy down, on the
                                        grid over the aligned face; attrs: scale_px, the
                                        pixels of the 240×280 face one count stands for
      apex_flow    (H, W, 2) int16      the same, of the apex frame; attrs: scale_px
      roi_frames   (T, R, 48, 48, 3) uint8   RGB, one picture per ROI and step
      roi_boxes    (R, 4) float32       x0, y0, x1, y1 in the 240×280 face
      steps        (T,) float32         frame position in the clip of each step
      landmarks    (P, 68, 2) float32   pixels of the source frame
      landmark_positions  (P,) int32    frame position of each row (onset; apex)
      transforms   (F, 2, 3) float32    source frame → 240×280 face, one per frame used
      first_frame  in meta              frame position of transforms[0]
      curve        (F,) float32         mean residual motion from the onset, face pixels

A failed clip has attributes only. A corpus of ready-made flow images has no
roi_frames, landmarks or transforms: those are stored with length 0.
"""
