-- What an event must have besides to be in a scope. No values for a selector: all match; \0 stands for NULL.
AND (empty({workflows:Array(String)}) OR has({workflows:Array(String)}, ifNull(toString(workflow), '\0')))
AND (empty({users:Array(String)}) OR has({users:Array(String)}, ifNull(toString(user_hash), '\0')))
AND (empty({roles:Array(String)}) OR has({roles:Array(String)}, ifNull(toString(role), '\0')))
AND (empty({criticalities:Array(String)}) OR has({criticalities:Array(String)}, ifNull(toString(criticality), '\0')))
AND (empty({data_classes:Array(String)}) OR has({data_classes:Array(String)}, ifNull(toString(data_class), '\0')))
