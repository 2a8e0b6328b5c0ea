"""What the tests stand on: brokers to run against."""
