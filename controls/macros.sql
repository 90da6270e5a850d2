-- Three-valued helpers for lists. NULL means "not known", never "no".
-- Plain list functions ignore NULL elements and turn "not known" into a verdict; these do not.

-- OR and AND of SQL are three-valued already, and a reduce names its list once: a macro that names
-- it four times would grow fourfold with every level of nesting.
CREATE MACRO any_true(items) AS list_reduce(items, lambda a, b: a OR b, false);

CREATE MACRO all_true(items) AS list_reduce(items, lambda a, b: a AND b, true);

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
                      'aws:userid', 'aws:sourceip', 's3:dataaccesspointaccount',
                      's3:dataaccesspointarn', 'kms:calleraccount',
                      'lambda:eventsourcetoken', 'elasticfilesystem:accesspointarn')
    AND NOT starts_with(condition.operator, 'forallvalues:')
    AND regexp_matches(condition.operator, '^(foranyvalue:)?(string|arn|ip|numeric)')
    AND NOT contains(condition.operator, 'not')
    AND NOT contains(condition.operator, 'ifexists')
    AND len(condition.values) > 0
    AND all3(condition.values, lambda v: NOT is_wide_value(v));

-- A condition value that stands for anybody: a lone wildcard, every address, or an ARN that names
-- neither an account nor a resource.
CREATE MACRO is_wide_value(value) AS
    value IN ('*', '0.0.0.0/0', '::/0')
    OR regexp_matches(value, '^[^:/]*[*?]')
    OR regexp_matches(value, '^arn:[^:]*:[^:]*:[^:]*:([*]?:[*]|[^:]*[*?])');

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

-- Identity policies: statements that an account attaches to users, groups and roles.

-- Does a statement name every resource, or all but a few?
CREATE MACRO on_every_resource(statement) AS
    any3(statement.resources, lambda r: r IN ('*', '*:*', '*/*'))
    OR (len(statement.not_resources) > 0 AND NOT has3(statement.not_resources, '*'));

-- Does a statement's Action or NotAction cover an action (lower case, as `kms:decrypt`)?
CREATE MACRO covers_action(statement, action) AS
    any3(statement.actions, lambda a: action GLOB a)
    OR (len(statement.not_actions) > 0
        AND NOT any3(statement.not_actions, lambda a: action GLOB a));

-- Does a policy grant every action on every resource? One that names only what it leaves out does.
CREATE MACRO allows_everything(statements) AS
    any3(statements, lambda s: s.effect = 'Allow' AND on_every_resource(s)
        AND (has3(s.actions, '*') OR has3(s.actions, '*:*')))
    OR (any3(statements, lambda s: s.effect = 'Allow' AND on_every_resource(s)
            AND len(s.not_actions) > 0)
        AND NOT any3(statements, lambda s: s.effect = 'Allow' AND on_every_resource(s)
            AND len(s.actions) > 0));

CREATE MACRO names_whole_service(actions, service) AS
    any3(actions, lambda a: service GLOB split_part(a, ':', 1) AND split_part(a, ':', 2) IN ('', '*'));

CREATE MACRO names_some_of_service(actions, service) AS
    any3(actions, lambda a: service GLOB split_part(a, ':', 1));

-- Does a policy grant all actions of a service on every resource? Any denied action of it counts.
CREATE MACRO allows_whole_service(statements, service) AS
    any3(statements, lambda s: s.effect = 'Allow' AND has3(s.resources, '*')
        AND (names_whole_service(s.actions, service)
            OR (len(s.not_actions) > 0 AND NOT names_some_of_service(s.not_actions, service))))
    AND NOT any3(statements, lambda s: s.effect = 'Deny'
        AND (names_some_of_service(s.actions, service)
            OR (len(s.not_actions) > 0 AND NOT names_whole_service(s.not_actions, service))));

-- Does a policy allow an action on every resource, without an unconditional Deny?
CREATE MACRO allows_everywhere(statements, action) AS
    any3(statements, lambda s: s.effect = 'Allow' AND has3(s.resources, '*')
        AND covers_action(s, action))
    AND NOT any3(statements, lambda s: s.effect = 'Deny' AND has3(s.resources, '*')
        AND len(s.conditions) = 0 AND covers_action(s, action));

-- For reasons: what a policy allows on every resource.
CREATE MACRO allowed_everywhere(statements) AS
    flatten(list_transform(
        list_filter(statements, lambda s: s.effect = 'Allow' AND list_contains(s.resources, '*')),
        lambda s: list_concat(s.actions, list_transform(s.not_actions, lambda a: 'all but ' || a))));

-- Actions (or sets of them) with which one can give oneself more rights, by what is publicly known
-- (pathfinding.cloud and the research that it cites). A set that contains another one is left out.
CREATE MACRO escalation_routes(statements) AS
    CASE WHEN statements IS NOT NULL THEN list_filter([
        'apprunner:updateservice',
        'batch:submitjob',
        'bedrock-agentcore:invokeagentruntimecommand',
        'cloudformation:updatestack',
        'codebuild:startbuild',
        'codebuild:startbuildbatch',
        'glue:updatedevendpoint',
        'iam:addusertogroup',
        'iam:attachgrouppolicy',
        'iam:attachrolepolicy',
        'iam:attachuserpolicy',
        'iam:createaccesskey',
        'iam:createloginprofile',
        'iam:createpolicyversion',
        'iam:deleteuserpermissionsboundary',
        'iam:putgrouppolicy',
        'iam:putrolepolicy',
        'iam:putuserpolicy',
        'iam:setdefaultpolicyversion',
        'iam:updateassumerolepolicy',
        'iam:updateloginprofile',
        'lambda:updatefunctioncode',
        'lambda:updatefunctionconfiguration',
        'sagemaker:createpresignednotebookinstanceurl',
        'ssm:sendcommand',
        'ssm:startsession',
        'sso:attachmanagedpolicytopermissionset',
        'sso:putinlinepolicytopermissionset',
        'iam:passrole apprunner:createservice',
        'bedrock-agentcore:connectbrowserautomationstream bedrock-agentcore:startbrowsersession',
        'bedrock-agentcore:invokecodeinterpreter bedrock-agentcore:startcodeinterpretersession',
        'iam:passrole braket:createjob',
        'cloudformation:createchangeset cloudformation:executechangeset',
        'iam:passrole cloudformation:createstack',
        'iam:passrole cloudformation:updatestackset',
        'iam:passrole cognito-identity:setidentitypoolroles',
        'ec2-instance-connect:sendsshpublickey ec2:describeinstances',
        'ec2:createlaunchtemplateversion ec2:modifylaunchtemplate',
        'iam:passrole ec2:requestspotinstances',
        'iam:passrole ec2:runinstances',
        'ecs:describetasks ecs:executecommand',
        'iam:passrole ecs:runtask',
        'iam:passrole ecs:starttask',
        'iam:passrole elasticmapreduce:runjobflow',
        'iam:passrole glue:createdevendpoint',
        'iam:deleterolepermissionsboundary sts:assumerole',
        'iam:passrole sagemaker:createnotebookinstance',
        'iam:passrole sagemaker:createprocessingjob',
        'iam:passrole sagemaker:createtrainingjob',
        'iam:passrole scheduler:createschedule',
        'states:startexecution states:updatestatemachine',
        'iam:passrole autoscaling:createautoscalinggroup autoscaling:createlaunchconfiguration',
        'iam:passrole autoscaling:createlaunchconfiguration autoscaling:updateautoscalinggroup',
        'iam:passrole cloudformation:createstackinstances cloudformation:createstackset',
        'codedeploy:createdeployment codedeploy:getdeploymentconfig codedeploy:registerapplicationrevision',
        'ec2:modifyinstanceattribute ec2:startinstances ec2:stopinstances',
        'iam:passrole ecs:createservice ecs:registertaskdefinition',
        'iam:passrole emr-serverless:createapplication emr-serverless:startjobrun',
        'iam:passrole glue:createjob glue:createtrigger',
        'iam:passrole glue:createjob glue:startjobrun',
        'iam:passrole glue:createsession glue:runstatement',
        'iam:passrole glue:createtrigger glue:updatejob',
        'iam:passrole glue:startjobrun glue:updatejob',
        'iam:passrole kinesisanalytics:createapplication kinesisanalytics:startapplication',
        'iam:passrole lambda:addpermission lambda:createfunction',
        'iam:passrole lambda:createeventsourcemapping lambda:createfunction',
        'iam:passrole lambda:createfunction lambda:invokefunction',
        'iam:passrole ssm:createdocument ssm:startautomationexecution',
        'iam:passrole states:createstatemachine states:startexecution',
        'iam:passrole datapipeline:activatepipeline datapipeline:createpipeline datapipeline:putpipelinedefinition',
        'iam:passrole gamelift:createbuild gamelift:createfleet gamelift:requestuploadcredentials',
        'iam:passrole omics:createworkflow omics:startrun s3:getobject',
        'sagemaker:createnotebookinstancelifecycleconfig sagemaker:startnotebookinstance sagemaker:stopnotebookinstance sagemaker:updatenotebookinstance',
        'iam:passrole imagebuilder:createcomponent imagebuilder:createimage imagebuilder:createimagerecipe imagebuilder:createinfrastructureconfiguration'
    ], lambda route: all3(string_split(route, ' '), lambda action:
        any3(statements, lambda s: s.effect = 'Allow' AND covers_action(s, action))
        AND NOT any3(statements, lambda s: s.effect = 'Deny' AND covers_action(s, action)))) END;
