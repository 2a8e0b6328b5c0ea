-- server only
-- 026 gives usage_adjustments the hash of the user, which 019 would let analysts read: taken back before it is there.
REVOKE SELECT(user_hash) ON usage_adjustments FROM streamgauge_analyst;
