-- Resends among some source offsets that were taken out of the totals already.
SELECT src_offset, src_index
FROM usage_adjustments FINAL
WHERE log = {log:String} AND src_partition = {partition:Int32} AND src_offset >= {first:Int64} AND src_offset < {next:Int64}
    AND kind = 'resend'
