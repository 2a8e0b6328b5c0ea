"""The contracts, held in place: golden bytes, versions against each other, columns, headers, control documents, topics."""
