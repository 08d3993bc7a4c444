"""What `relume cost` is made of.

images.py        the test images: made here, of the sizes asked for
hardware.py      what machine this is
hardware.json    what machines cost a second
measure.py       seconds, by running
report.py        seconds into dollars, as a table and as JSON
run.py           the command
"""
