"""Which service category of FOCUS an AWS product belongs to: the cost and usage report has none."""

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
#: What is billed under the code of EC2 and is no computing, by the beginning of its product family or usage type.
_OF_EC2 = {
    "Storage": r"^(Storage|System Operation|Provisioned Throughput|Snapshot)|(^|-)EBS:",
    "Networking": r"^(Data Transfer|Load Balancer|NAT Gateway|IP Address)"
    r"|DataTransfer-|NatGateway-|LoadBalancer|PublicIPv4|AWS-(In|Out)-Bytes",
}
_MODELS = r"\((Amazon )?Bedrock Edition\)|\bBedrock\b|\bSageMaker\b"


def service_category(code: pl.Expr, name: pl.Expr, family: pl.Expr, usage_type: pl.Expr) -> pl.Expr:
    """The FOCUS service category by product code, name and family; models of the marketplace by their name."""
    stem = code.str.to_lowercase().str.replace(r"^(amazon|aws)", "")
    of_ec2 = [
        (
            (stem == "ec2") & (family.fill_null("").str.contains(one) | usage_type.fill_null("").str.contains(one)),
            category,
        )
        for category, one in _OF_EC2.items()
    ]
    by_code = stem.replace_strict(_CATEGORIES, default="Other", return_dtype=pl.String)
    return case((name.str.contains(_MODELS), "AI and Machine Learning"), *of_ec2, otherwise=by_code)
