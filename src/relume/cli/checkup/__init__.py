"""What `relume doctor` looks at.

finding.py   what a check says
machine.py   this computer: Python, codecs, processor, GPU, memory
service.py   Relume as configured: settings, storage, port, providers, a restoration to prove it
"""
