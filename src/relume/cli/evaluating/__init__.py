"""What `relume evaluate` is made of.

figures.py   how two photos compare, and what a photo says of itself
truth.py     a photo damaged on purpose, so that the truth is known
report.py    what was found for each photo; as a table, JSON and CSV
sheet.py     pictures side by side
page.py      the report as one HTML file
folder.py    the output folder, which holds nothing but reports
run.py       photo after photo
"""
