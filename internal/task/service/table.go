package service

import (
	"strings"

	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

// protocol is how a service's requests and answers are written.
type protocol uint8

const (
	jsonProtocol  protocol = iota // AWS JSON 1.0 and 1.1
	queryProtocol                 // a form, answered in XML
	objects                       // S3
	functions                     // Lambda
)

// description says what is particular to a service.
type description struct {
	at        awscall.Service
	exception string // in front of its errors' names: "DynamoDb"
	protocol  protocol
	version   string // of the JSON protocol, or of the API in a query
	target    string // in front of the action in X-Amz-Target
	// camel says that members are written with a small letter on the wire; in
	// tasks they have a capital one.
	camel bool
	texts []string // members that hold JSON as text: other values are written so
	blobs []string // members in base64 on the wire, which are text in tasks
	// modelled are those of the codes in general that the service does define.
	modelled []string
}

// descriptions are the services of aws-sdk:… that this server knows how to call.
var descriptions = map[string]*description{
	"dynamodb":        inJSON("DynamoDb", "DYNAMODB", "dynamodb", "1.0", "DynamoDB_20120810"),
	"dynamodbstreams": inJSON("DynamoDbStreams", "DYNAMODB_STREAMS", "streams.dynamodb", "1.0", "DynamoDBStreams_20120810").signedAs("dynamodb"),
	"sqs":             inJSON("Sqs", "SQS", "sqs", "1.0", "AmazonSQS"),
	"sfn": inJSON("Sfn", "SFN", "states", "1.0", "AWSStepFunctions").inCamel().
		withTexts("Input", "Output", "Definition", "Context", "Variables").defining("ValidationException"),
	"swf": inJSON("Swf", "SWF", "swf", "1.0", "SimpleWorkflowService").inCamel(),

	"acm":                      inJSON("Acm", "ACM", "acm", "1.1", "CertificateManager"),
	"applicationautoscaling":   inJSON("ApplicationAutoScaling", "APPLICATION_AUTO_SCALING", "application-autoscaling", "1.1", "AnyScaleFrontendService").defining("ValidationException"),
	"athena":                   inJSON("Athena", "ATHENA", "athena", "1.1", "AmazonAthena"),
	"budgets":                  inJSON("Budgets", "BUDGETS", "budgets", "1.1", "AWSBudgetServiceGateway").defining("AccessDeniedException", "ThrottlingException"),
	"cloudtrail":               inJSON("CloudTrail", "CLOUDTRAIL", "cloudtrail", "1.1", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"),
	"cloudwatchlogs":           inJSON("CloudWatchLogs", "CLOUDWATCH_LOGS", "logs", "1.1", "Logs_20140328").inCamel().defining("ValidationException", "ThrottlingException", "AccessDeniedException"),
	"codebuild":                inJSON("CodeBuild", "CODEBUILD", "codebuild", "1.1", "CodeBuild_20161006").inCamel(),
	"codecommit":               inJSON("CodeCommit", "CODECOMMIT", "codecommit", "1.1", "CodeCommit_20150413").inCamel(),
	"codedeploy":               inJSON("CodeDeploy", "CODEDEPLOY", "codedeploy", "1.1", "CodeDeploy_20141006").inCamel().defining("ThrottlingException"),
	"codepipeline":             inJSON("CodePipeline", "CODEPIPELINE", "codepipeline", "1.1", "CodePipeline_20150709").inCamel().defining("ValidationException"),
	"cognitoidentity":          inJSON("CognitoIdentity", "COGNITO_IDENTITY", "cognito-identity", "1.1", "AWSCognitoIdentityService"),
	"cognitoidentityprovider":  inJSON("CognitoIdentityProvider", "COGNITO_IDENTITY_PROVIDER", "cognito-idp", "1.1", "AWSCognitoIdentityProviderService"),
	"comprehend":               inJSON("Comprehend", "COMPREHEND", "comprehend", "1.1", "Comprehend_20171127"),
	"config":                   inJSON("Config", "CONFIG_SERVICE", "config", "1.1", "StarlingDoveService").defining("ValidationException"),
	"costexplorer":             inJSON("CostExplorer", "COST_EXPLORER", "ce", "1.1", "AWSInsightsIndexService"),
	"databasemigration":        inJSON("DatabaseMigration", "DATABASE_MIGRATION_SERVICE", "dms", "1.1", "AmazonDMSv20160101"),
	"datasync":                 inJSON("DataSync", "DATASYNC", "datasync", "1.1", "FmrsService"),
	"directory":                inJSON("Directory", "DIRECTORY_SERVICE", "ds", "1.1", "DirectoryService_20150416").defining("AccessDeniedException"),
	"ecr":                      inJSON("Ecr", "ECR", "api.ecr", "1.1", "AmazonEC2ContainerRegistry_V20150921").signedAs("ecr").inCamel().defining("ValidationException"),
	"ecs":                      inJSON("Ecs", "ECS", "ecs", "1.1", "AmazonEC2ContainerServiceV20141113").inCamel().defining("AccessDeniedException"),
	"emr":                      inJSON("Emr", "EMR", "elasticmapreduce", "1.1", "ElasticMapReduce"),
	"eventbridge":              inJSON("EventBridge", "EVENTBRIDGE", "events", "1.1", "AWSEvents").withTexts("Detail", "EventPattern").defining("AccessDeniedException"),
	"firehose":                 inJSON("Firehose", "FIREHOSE", "firehose", "1.1", "Firehose_20150804").withBlobs("Data"),
	"fsx":                      inJSON("FSx", "FSX", "fsx", "1.1", "AWSSimbaAPIService_v20180301"),
	"glue":                     inJSON("Glue", "GLUE", "glue", "1.1", "AWSGlue").defining("ValidationException", "AccessDeniedException", "ThrottlingException"),
	"kinesis":                  inJSON("Kinesis", "KINESIS", "kinesis", "1.1", "Kinesis_20131202").withBlobs("Data").defining("ValidationException", "AccessDeniedException"),
	"kinesisanalyticsv2":       inJSON("KinesisAnalyticsV2", "KINESIS_ANALYTICS_V2", "kinesisanalytics", "1.1", "KinesisAnalytics_20180523"),
	"kms":                      inJSON("Kms", "KMS", "kms", "1.1", "TrentService"),
	"organizations":            inJSON("Organizations", "ORGANIZATIONS", "organizations", "1.1", "AWSOrganizationsV20161128").defining("AccessDeniedException"),
	"pricing":                  inJSON("Pricing", "PRICING", "api.pricing", "1.1", "AWSPriceListService").signedAs("pricing").defining("AccessDeniedException"),
	"redshiftdata":             inJSON("RedshiftData", "REDSHIFT_DATA", "redshift-data", "1.1", "RedshiftData").defining("ValidationException"),
	"rekognition":              inJSON("Rekognition", "REKOGNITION", "rekognition", "1.1", "RekognitionService").defining("AccessDeniedException", "ThrottlingException"),
	"resourcegroupstaggingapi": inJSON("ResourceGroupsTaggingApi", "RESOURCE_GROUPS_TAGGING_API", "tagging", "1.1", "ResourceGroupsTaggingAPI_20170126"),
	"sagemaker":                inJSON("SageMaker", "SAGEMAKER", "api.sagemaker", "1.1", "SageMaker").signedAs("sagemaker"),
	"secretsmanager":           inJSON("SecretsManager", "SECRETS_MANAGER", "secretsmanager", "1.1", "secretsmanager").withTexts("SecretString").withBlobs("SecretBinary"),
	"servicecatalog":           inJSON("ServiceCatalog", "SERVICE_CATALOG", "servicecatalog", "1.1", "AWS242ServiceCatalogService"),
	"servicediscovery":         inJSON("ServiceDiscovery", "SERVICEDISCOVERY", "servicediscovery", "1.1", "Route53AutoNaming_v20170314"),
	"servicequotas":            inJSON("ServiceQuotas", "SERVICE_QUOTAS", "servicequotas", "1.1", "ServiceQuotasV20190624").defining("AccessDeniedException"),
	"ssm":                      inJSON("Ssm", "SSM", "ssm", "1.1", "AmazonSSM").defining("ValidationException", "ThrottlingException", "AccessDeniedException"),
	"storagegateway":           inJSON("StorageGateway", "STORAGE_GATEWAY", "storagegateway", "1.1", "StorageGateway_20130630"),
	"support":                  inJSON("Support", "SUPPORT", "support", "1.1", "AWSSupport_20130415").inCamel().defining("ThrottlingException"),
	"textract":                 inJSON("Textract", "TEXTRACT", "textract", "1.1", "Textract").defining("ValidationException", "AccessDeniedException", "ThrottlingException"),
	"transcribe":               inJSON("Transcribe", "TRANSCRIBE", "transcribe", "1.1", "Transcribe"),
	"transfer":                 inJSON("Transfer", "TRANSFER", "transfer", "1.1", "TransferService").defining("AccessDeniedException", "ThrottlingException"),
	"translate":                inJSON("Translate", "TRANSLATE", "translate", "1.1", "AWSShineFrontendService_20170701"),
	"wafv2":                    inJSON("Wafv2", "WAFV2", "wafv2", "1.1", "AWSWAF_20190729"),
	"workspaces":               inJSON("WorkSpaces", "WORKSPACES", "workspaces", "1.1", "WorkspacesService").defining("AccessDeniedException", "ValidationException"),

	"sns": {at: awscall.Service{ID: "SNS", Host: "sns", SigningName: "sns"}, exception: "Sns",
		protocol: queryProtocol, version: "2010-03-31", texts: []string{"Message"}, modelled: []string{"ValidationException"}},
	"sts": {at: awscall.Service{ID: "STS", Host: "sts", SigningName: "sts"}, exception: "Sts",
		protocol: queryProtocol, version: "2011-06-15"},

	"s3": {at: awscall.Service{ID: "S3", Host: "s3", SigningName: "s3", Object: true}, exception: "S3", protocol: objects},
	"lambda": {at: awscall.Service{ID: "LAMBDA", Host: "lambda", SigningName: "lambda"}, exception: "Lambda",
		protocol: functions},
}

func inJSON(exception, id, host, version, target string) *description {
	return &description{
		at:        awscall.Service{ID: id, Host: host, SigningName: host},
		exception: exception, version: version, target: target,
	}
}

func (d *description) signedAs(name string) *description      { d.at.SigningName = name; return d }
func (d *description) inCamel() *description                  { d.camel = true; return d }
func (d *description) withTexts(names ...string) *description { d.texts = names; return d }
func (d *description) withBlobs(names ...string) *description { d.blobs = names; return d }
func (d *description) defining(codes ...string) *description  { d.modelled = codes; return d }

// general are codes that services answer with beside those that they define
// themselves. The SDK has no exception for them but the service's own: AWS says
// DynamoDb.DynamoDbException (recorded).
var general = func() map[string]bool {
	m := map[string]bool{}
	for _, code := range strings.Fields(`AccessDenied AccessDeniedException AuthFailure ExpiredToken
		ExpiredTokenException IncompleteSignature InternalFailure InvalidAction InvalidClientTokenId
		InvalidSignatureException MissingAction MissingAuthenticationToken MissingAuthenticationTokenException
		MissingParameter NotAuthorized OptInRequired RequestExpired SerializationException ServiceUnavailable
		SignatureDoesNotMatch Throttling ThrottlingException UnknownOperationException
		UnrecognizedClientException ValidationError ValidationException`) {
		m[code] = true
	}
	return m
}()
