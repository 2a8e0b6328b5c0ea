"""What `bench_alerts` plants, sends and hears. In: nothing. Out: traffic with known crossings and runaways."""
