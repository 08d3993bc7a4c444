"""Inference on this machine, by weights that people have on their disk.

known.json    the weights that can be downloaded: address, size, hash, licence
weights.py    which weights lie in a folder, told by their content
watch.py      weights that come and go while the service runs
stock.py      the weights that can be used now, and which of them does a task
download.py   fetch known weights, resumably, checked before they get their name
packages.py   torch, spandrel, OpenVINO: imported late, without what they would do besides
models.py     a weights file as a model: architecture, scale, how it wants its tiles
gfpgan.py     GFPGAN of any width, with noise that is the same each time
openvino.py   models on the processor: converted once, kept on disk
cuda.py       models on a GPU, by torch
reach.py      how far a model's output depends on its input
quantise.py   models in 8-bit integers, calibrated on the user's own photos
loaded.py     loaded models within a memory limit, least used go first
memory.py     how much memory is free
enlarge.py    a photo through an upscaler, tile by tile
detect.py     where faces are
faces.py      a face cut out upright, restored, and put back

Nothing here is imported by the API before the first photo needs it.
"""
