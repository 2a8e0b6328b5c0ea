"""What ClickHouse refuses for its content: told apart row by row, published as dead letters, and limited."""
