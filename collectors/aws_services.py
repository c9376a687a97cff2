"""Which service category of FOCUS an AWS product belongs to: the cost and usage report has none.

FOCUS gives a service one category. What AWS bills under the code of EC2 and is no computing has therefore the name of
the service that it is: disks are Amazon Elastic Block Store.
"""

from __future__ import annotations

import polars as pl

from collectors.frames import case

#: FOCUS service category -> AWS product codes, in lower case and without a leading "amazon" or "aws".
_PRODUCTS = {
    "AI and Machine Learning": "sagemaker bedrock bedrockservice bedrockagentcore comprehend comprehendmedical "
    "rekognition textract polly transcribe translate lex personalize forecast frauddetector kendra augmentedai q "
    "qbusiness deepracer deeplens deepcomposer elasticinference machinelearning panorama healthlake lookoutvision "
    "lookoutmetrics lookoutequipment monitron codewhisperer",
    "Compute": "ec2 lambda ecs eks batch lightsail elasticbeanstalk apprunner outposts workspaces appstream "
    "parallelcluster pcs computeoptimizer serverlessrepo",
    "Storage": "s3 s3glacier glacierdeeparchive glacier efs fsx backup storagegateway ebs snowball datasync fsxlustre",
    "Databases": "rds dynamodb elasticache redshift neptune documentdb docdb dax memorydb keyspaces mcs qldb "
    "timestream simpledb aurora aurodsql databasemigrationsvc",
    "Networking": "vpc cloudfront route53 datatransfer elb directconnect globalaccelerator transitgateway apigateway "
    "appmesh cloudmap privatelink networkfirewall transfer",
    "Analytics": "athena glue kinesis kinesisfirehose kinesisanalytics elasticmapreduce es opensearchservice "
    "quicksight lakeformation datapipeline msk dataexchange datazone cloudsearch emrserverless",
    "Security": "kms secretsmanager guardduty inspector inspectorv2 macie waf shield cloudhsm securityhub detective "
    "certificatemanager directoryservice cognito securitylake auditmanager artifact securityagent",
    "Management and Governance": "cloudwatch cloudtrail config systemsmanager servicecatalog xray cloudformation "
    "controltower budgets costexplorer ce trustedadvisor cloudshell grafana prometheus servicequotas opsworks",
    "Integration": "sns queueservice sqs mq events eventbridge states stepfunctions swf appflow appsync pinpoint ses",
    "Developer Tools": "codebuild codecommit codepipeline codedeploy codeartifact cloud9 codestar devopsguru amplify",
    "Internet of Things": "iot iotanalytics iotevents iotsitewise iotdevicemanagement iotdevicedefender greengrass",
    "Media": "elementalmediaconvert elementalmedialive elementalmediapackage elementalmediastore elementalmediatailor "
    "ivs elastictranscoder kinesisvideo",
    "Business Applications": "connect workmail workdocs chime wickr supplychain",
    "Migration": "migrationhub migrationhubrefactorspaces applicationmigration applicationdiscovery mgn",
    "Other": "developersupport supportbusiness supportenterprise premiumsupport marketplace",
}
_CATEGORIES = {code: category for category, codes in _PRODUCTS.items() for code in codes.split()}
#: What is billed under the code of EC2 and is no computing, by product family or usage type: the category, the service,
#: and the pattern; the first that matches counts.
_OF_EC2 = (
    (
        "Storage",
        "Amazon Elastic Block Store",
        r"^(Storage|System Operation|Provisioned Throughput|Snapshot)|(^|-)EBS:",
    ),
    ("Networking", "Elastic Load Balancing", r"^Load Balancer|LoadBalancer"),
    ("Networking", "Amazon Virtual Private Cloud", r"^(NAT Gateway|IP Address)|NatGateway-|PublicIPv4"),
    ("Networking", "AWS Data Transfer", r"^Data Transfer|DataTransfer-|AWS-(In|Out)-Bytes"),
)
_MODELS = r"\((Amazon )?Bedrock Edition\)|\bBedrock\b|\bSageMaker\b"


def service_category(code: pl.Expr, name: pl.Expr, family: pl.Expr, usage_type: pl.Expr) -> pl.Expr:
    """The FOCUS service category by product code, name and family; models of the marketplace by their name."""
    by_code = _stem(code).replace_strict(_CATEGORIES, default="Other", return_dtype=pl.String)
    of_ec2 = [(one, category) for one, category, _ in _parts_of_ec2(code, family, usage_type)]
    return case((name.str.contains(_MODELS), "AI and Machine Learning"), *of_ec2, otherwise=by_code)


def part_of_ec2(code: pl.Expr, family: pl.Expr, usage_type: pl.Expr) -> pl.Expr:
    """The service that is billed as a part of EC2 and is no computing; null for everything else."""
    return case(*((one, service) for one, _, service in _parts_of_ec2(code, family, usage_type)))


def _parts_of_ec2(code: pl.Expr, family: pl.Expr, usage_type: pl.Expr) -> list[tuple[pl.Expr, str, str]]:
    kinds = [text.fill_null("") for text in (family, usage_type)]
    return [
        ((_stem(code) == "ec2") & (kinds[0].str.contains(one) | kinds[1].str.contains(one)), category, service)
        for category, service, one in _OF_EC2
    ]


def _stem(code: pl.Expr) -> pl.Expr:
    return code.str.to_lowercase().str.replace(r"^(amazon|aws)", "")
