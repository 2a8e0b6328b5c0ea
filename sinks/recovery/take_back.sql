-- Of one partition, from a source offset on: the ledger no longer calls it applied, so that the sink reads it again.
-- First both tables forget the tokens of earlier inserts, by which a repeat would be taken for what is there: a window of 0
-- drops them. A crash in between leaves a table without a window, where repeats are dropped by their keys alone until this
-- is run again. The windows are those of the migrations.
ALTER TABLE usage_events_raw MODIFY SETTING non_replicated_deduplication_window = 0;
ALTER TABLE usage_events_raw MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE usage_ledger MODIFY SETTING non_replicated_deduplication_window = 0;
ALTER TABLE usage_ledger MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE usage_ledger
    DELETE WHERE log = {log:String} AND partition = {partition:Int32} AND `first` >= {first:Int64}
    SETTINGS mutations_sync = 2;
