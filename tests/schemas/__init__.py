"""The contracts, held in place: golden bytes, versions, columns, headers, control documents, topics."""
