-- Whether one message of usage.adjustments is in the table.
SELECT count() > 0
FROM usage_adjustments
WHERE adjustment_id = {adjustment_id:String} AND `position` = {position:Int64};
