"""Resource types of one's own for places that the built-in types do not read."""

OWN_TYPES = {
    "aws_cloudformation_stack": """
type: aws_cloudformation_stack
title: CloudFormation stack
service: cloudformation
scope: region
list: {operation: describe_stacks, items: Stacks}
id: $StackId
enrich: [{operation: get_template, params: {StackName: $StackName}}]
tags: {from: list, path: Tags}
facets:
  texts:
    about: what people wrote
    description: {type: text, path: Description, absent: ""}
    outputs: {type: list, of: text, path: "Outputs[].OutputValue", absent: []}
    parameters: {type: list, of: text, path: "Parameters[].ParameterValue", absent: []}
  template:
    about: the template
    from: get_template
    body: {type: text, path: "to_string(TemplateBody)"}
""",
    "aws_ec2_user_data": """
type: aws_ec2_user_data
title: EC2 user data
service: ec2
scope: region
list: {operation: describe_instances, items: "Reservations[].Instances[]"}
id: $InstanceId
enrich:
  - operation: describe_instance_attribute
    params: {InstanceId: $InstanceId, Attribute: userData}
facets:
  texts:
    about: user data
    from: describe_instance_attribute
    data: {type: text, path: UserData.Value, absent: ""}
""",
    "aws_codebuild_project": """
type: aws_codebuild_project
title: CodeBuild project
service: codebuild
scope: region
list: {operation: list_projects, items: projects}
id: $value
enrich: [{operation: batch_get_projects, params: {names: [$value]}}]
facets:
  texts:
    about: variables
    from: batch_get_projects
    values:
      {type: list, of: text, path: "projects[].environment.environmentVariables[].value"}
""",
    "aws_sfn_state_machine": """
type: aws_sfn_state_machine
title: state machine
service: stepfunctions
scope: region
list: {operation: list_state_machines, items: stateMachines}
id: $stateMachineArn
enrich: [{operation: describe_state_machine, params: {stateMachineArn: $stateMachineArn}}]
facets:
  texts:
    about: definition
    from: describe_state_machine
    definition: {type: text, path: definition}
""",
    "aws_glue_job": """
type: aws_glue_job
title: Glue job
service: glue
scope: region
list: {operation: get_jobs, items: Jobs}
id: $Name
facets:
  texts:
    about: arguments
    arguments: {type: list, of: text, path: "values(DefaultArguments)", absent: []}
""",
    "aws_event_rule": """
type: aws_event_rule
title: EventBridge rule
service: events
scope: region
list: {operation: list_rules, items: Rules}
id: $Arn
enrich: [{operation: list_targets_by_rule, params: {Rule: $Name}}]
facets:
  texts:
    about: inputs
    from: list_targets_by_rule
    inputs: {type: list, of: text, path: "Targets[].Input", absent: []}
""",
    "aws_batch_job_definition": """
type: aws_batch_job_definition
title: Batch job definition
service: batch
scope: region
list: {operation: describe_job_definitions, items: jobDefinitions}
id: $jobDefinitionArn
facets:
  texts:
    about: variables
    values: {type: list, of: text, path: "containerProperties.environment[].value", absent: []}
""",
    "aws_ssm_parameter": """
type: aws_ssm_parameter
title: SSM parameter
service: ssm
scope: region
list: {operation: describe_parameters, items: Parameters}
id: $Name
facets:
  texts:
    about: description
    description: {type: text, path: Description, absent: ""}
""",
}
"""Types of one's own, which declare nothing: whatever they read must be recognised."""
