"""What a spike is: the usual incident that it looks like, what carries it, and the words for both.

`measures` factors of the decomposition in words · `carriers` values of dimensions, from the stream's own sums · `facts`
what single calls told, made of the answer by `detail_facts` · `known` what is known of an episode besides its sums ·
`incidents` the rules · `wording` the summary, `amounts` its figures · `queries` what to paste.
"""

from __future__ import annotations
