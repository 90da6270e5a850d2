-- Three-valued helpers for lists. NULL means "not known", never "no".
-- Plain list functions ignore NULL elements and turn "not known" into a verdict; these do not.

CREATE MACRO any_true(items) AS
    CASE WHEN items IS NULL THEN NULL
         WHEN list_contains(items, true) THEN true
         WHEN list_count(items) < len(items) THEN NULL
         ELSE false END;

CREATE MACRO all_true(items) AS
    CASE WHEN items IS NULL THEN NULL
         WHEN list_contains(items, false) THEN false
         WHEN list_count(items) < len(items) THEN NULL
         ELSE true END;

-- any3(list, lambda x: condition): is there an element for which the condition holds?
CREATE MACRO any3(items, condition) AS any_true(list_transform(items, condition));

-- all3(list, lambda x: condition): does the condition hold for every element (true for none)?
CREATE MACRO all3(items, condition) AS all_true(list_transform(items, condition));

-- has3(list, value): does the list contain the value?
CREATE MACRO has3(items, wanted) AS
    CASE WHEN items IS NULL OR wanted IS NULL THEN NULL
         WHEN list_contains(items, wanted) THEN true
         WHEN list_count(items) < len(items) THEN NULL
         ELSE false END;

-- count3(list, lambda x: condition): for how many elements does it hold? NULL if one is unknown.
CREATE MACRO count3(items, condition) AS
    CASE WHEN list_count(list_transform(items, condition)) < len(items) THEN NULL
         ELSE len(list_filter(items, condition)) END;

-- Aggregates for facts: any_of and all_of over the rows of a group.
CREATE MACRO any_of(condition) AS
    CASE WHEN bool_or(condition) THEN true
         WHEN count(condition) < count(*) THEN NULL
         ELSE false END;

CREATE MACRO all_of(condition) AS
    CASE WHEN NOT bool_and(condition) THEN false
         WHEN count(condition) < count(*) THEN NULL
         ELSE true END;

-- count_of: how many rows satisfy the condition; NULL if that is not known of one of them.
CREATE MACRO count_of(condition) AS
    CASE WHEN count(condition) < count(*) THEN NULL
         ELSE count(*) FILTER (WHERE condition) END;

-- Network: does a rule reach the whole internet, and does it cover a port?
CREATE MACRO is_world(cidr) AS cidr IN ('0.0.0.0/0', '::/0');

CREATE MACRO covers_port(from_port, to_port, port) AS
    (from_port IS NULL AND to_port IS NULL) OR (from_port <= port AND port <= to_port);

-- Policies (see evidence.schema.POLICY_STATEMENT).
CREATE MACRO names_everyone(principals) AS
    has3(principals, '*') OR has3(principals, 'AWS:*');

-- A condition that narrows a wildcard principal to known accounts, organisations or sources.
CREATE MACRO narrows(condition) AS
    condition.key IN ('aws:principalorgid', 'aws:principalorgpaths', 'aws:principalaccount',
                      'aws:principalarn', 'aws:sourceaccount', 'aws:sourcearn', 'aws:sourceowner',
                      'aws:sourceorgid', 'aws:sourceorgpaths', 'aws:sourcevpc', 'aws:sourcevpce',
                      'aws:resourceorgid', 'aws:resourceaccount', 'aws:userid', 'aws:username',
                      'aws:sourceip', 'aws:vpcsourceip', 's3:dataaccesspointaccount',
                      's3:dataaccesspointarn', 'kms:calleraccount', 'kms:viaservice',
                      'lambda:eventsourcetoken', 'elasticfilesystem:accesspointarn')
    AND NOT starts_with(condition.operator, 'stringnot')
    AND NOT starts_with(condition.operator, 'arnnot')
    AND NOT starts_with(condition.operator, 'notip')
    AND NOT contains(condition.operator, 'ifexists')
    AND all3(condition.values, lambda v: v NOT IN ('*', '0.0.0.0/0', '::/0', 'arn:aws:*'));

-- Does an Allow statement open the resource to everyone, without a narrowing condition?
CREATE MACRO is_public_statement(statement) AS
    statement.effect = 'Allow'
    AND (names_everyone(statement.principals) OR len(statement.not_principals) > 0)
    AND NOT any3(statement.conditions, lambda c: narrows(c));

-- Does an Allow statement grant every action on every resource?
CREATE MACRO grants_everything(statement) AS
    statement.effect = 'Allow'
    AND (has3(statement.actions, '*') OR has3(statement.actions, '*:*'))
    AND has3(statement.resources, '*');
