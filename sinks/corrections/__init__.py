"""What commands that correct ask of ClickHouse: events to price again, refused events to send again."""
