"""What `relume restore` is made of.

plan.py      which photos there are to restore
folder.py    the output folder: names that are free, files that appear whole, one run at a time
manifest.py  what was written before, so that a run can go on
run.py       photo after photo, until done or stopped
report.py    what came of each photo, and the summary
display.py   progress, in a terminal and elsewhere
"""
