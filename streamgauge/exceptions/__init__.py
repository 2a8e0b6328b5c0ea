"""In: what people ask for beyond a limit or a policy, and what others decide. Out: exceptions and acknowledgements on
`governance.control`, signed by whoever decided; and what came of them.

`signing` who is at the keyboard, by their key · `requests` what is asked for, checked · `rules` what is decided at
once, by evidence · `decisions` approve, deny, revoke, acknowledge · `publishing` one record, unless something changed
meanwhile · `standing` how an exception stands now · `outcomes` granted, used and achieved, and what ceilings learn.
"""
