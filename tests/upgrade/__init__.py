"""In: bytes that earlier versions left on topics and in tables. Out: whether this version still reads them.

`record` writes a folder `recorded/vN` from the code of this version (`python -m tests.upgrade.record N`), once, when
version N is released; `readers` reads each topic as its consumers do. Recorded bytes are never edited: they stand on
somebody's topics.
"""
