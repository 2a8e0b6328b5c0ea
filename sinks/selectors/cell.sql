-- What a row of events or adjustments must have to be in a scope: of the selectors that both have. No values for a selector: all
-- match; \0 stands for NULL.
AND (empty({departments:Array(String)}) OR has({departments:Array(String)}, ifNull(toString(department), '\0')))
AND (empty({teams:Array(String)}) OR has({teams:Array(String)}, ifNull(toString(team_id), '\0')))
AND (empty({projects:Array(String)}) OR has({projects:Array(String)}, ifNull(toString(project_id), '\0')))
AND (empty({use_cases:Array(String)}) OR has({use_cases:Array(String)}, ifNull(toString(use_case), '\0')))
AND (empty({stages:Array(String)}) OR has({stages:Array(String)}, ifNull(toString(stage), '\0')))
AND (empty({model_classes:Array(String)}) OR has({model_classes:Array(String)}, ifNull(toString(model_class), '\0')))
