package service

import (
	"slices"

	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
)

var (
	batchJobs      = &family{service: "batch", prefix: "Batch", name: "AWSBatch"}
	ecsTasks       = &family{service: "ecs", prefix: "ECS", name: "AmazonECS"}
	glueRuns       = &family{service: "glue", prefix: "Glue", name: "AWSGlue"}
	dataBrewRuns   = &family{service: "databrew", prefix: "GlueDataBrew", name: "AWSGlueDataBrew"}
	sageMakerJobs  = &family{service: "sagemaker", prefix: "SageMaker", name: "AmazonSageMaker"}
	emrClusters    = &family{service: "emr", prefix: "ElasticMapReduce", name: "AmazonElasticMapReduce", slow: true}
	emrContainers  = &family{service: "emrcontainers", prefix: "EMRContainers", name: "AmazonEMRContainers"}
	emrServerless  = &family{service: "emrserverless", prefix: "EmrServerless", name: "AWSEMRServerless"}
	codeBuilds     = &family{service: "codebuild", prefix: "CodeBuild", name: "AWSCodeBuild"}
	athenaQueries  = &family{service: "athena", prefix: "Athena", name: "AmazonAthena"}
	eksClusters    = &family{service: "eks", prefix: "EKS", name: "AmazonEKS"}
	bedrockJobs    = &family{service: "bedrock", prefix: "Bedrock", name: "AmazonBedrock"}
	transcodings   = &family{service: "mediaconvert", prefix: "MediaConvert", name: "AWSMediaConvert"}
	buildEndings   = []string{"FAILED", "FAULT", "TIMED_OUT", "STOPPED"}
	clusterByID    = []string{"ClusterId=in.ClusterId"}
	applicationIn  = []string{"ApplicationId=in.ApplicationId"}
	jobRunIn       = []string{"ApplicationId=in.ApplicationId", "JobRunId=in.JobRunId"}
	nodegroupIn    = []string{"ClusterName=in.ClusterName", "NodegroupName=in.NodegroupName"}
	fargateIn      = []string{"ClusterName=in.ClusterName", "FargateProfileName=in.FargateProfileName"}
	startedCluster = []string{"WAITING", "RUNNING"}
)

// jobActions are the actions of services whose jobs a task can wait for, and those
// beside them, by their resource.
var jobActions = map[string]*job{
	"batch:submitJob": {family: batchJobs, describe: "describeJobs", ask: []string{"Jobs[]=out.JobId"},
		status: "Jobs.0.Status", good: []string{"SUCCEEDED"}, bad: []string{"FAILED"}, result: "Jobs.0",
		stop: "terminateJob", with: []string{"JobId=out.JobId", "Reason=:" + whyStopped}},
	"ecs:runTask": {family: ecsTasks, submitted: allPlaced, describe: "describeTasks",
		ask:    []string{"Cluster?=in.Cluster", "Tasks[]=out.Tasks.0.TaskArn"},
		status: "Tasks.0.LastStatus", good: []string{"STOPPED"}, failed: exitedBadly, result: "Tasks.0",
		stop: "stopTask", with: []string{"Cluster?=in.Cluster", "Task=out.Tasks.0.TaskArn", "Reason=:" + whyStopped}},
	"glue:startJobRun": {family: glueRuns, describe: "getJobRun", ask: []string{"JobName=in.JobName", "RunId=out.JobRunId"},
		status: "JobRun.JobRunState", good: []string{"SUCCEEDED"}, bad: []string{"FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED"},
		result: "JobRun", stop: "batchStopJobRun", with: []string{"JobName=in.JobName", "JobRunIds[]=out.JobRunId"}},
	"databrew:startJobRun": {family: dataBrewRuns, describe: "describeJobRun", ask: []string{"Name=in.Name", "RunId=out.RunId"},
		status: "State", good: []string{"SUCCEEDED"}, bad: []string{"FAILED", "TIMEOUT", "STOPPED"},
		stop: "stopJobRun", with: []string{"Name=in.Name", "RunId=out.RunId"}},

	"sagemaker:createTrainingJob":             sageMakerJob("TrainingJob"),
	"sagemaker:createTransformJob":            sageMakerJob("TransformJob"),
	"sagemaker:createProcessingJob":           sageMakerJob("ProcessingJob"),
	"sagemaker:createHyperParameterTuningJob": sageMakerJob("HyperParameterTuningJob"),
	"sagemaker:createLabelingJob":             sageMakerJob("LabelingJob"),
	"sagemaker:createModel":                   {family: sageMakerJobs},
	"sagemaker:createEndpoint":                {family: sageMakerJobs},
	"sagemaker:createEndpointConfig":          {family: sageMakerJobs},
	"sagemaker:updateEndpoint":                {family: sageMakerJobs},

	"elasticmapreduce:createCluster": {family: emrClusters, begin: "runJobFlow", submitted: clusterOfFlow,
		describe: "describeCluster", ask: []string{"ClusterId=out.ClusterId"}, status: "Cluster.Status.State",
		good: startedCluster, bad: []string{"TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS"}, result: "Cluster", as: "Cluster", keep: "ClusterId"},
	"elasticmapreduce:terminateCluster": {family: emrClusters, begin: "terminateJobFlows", prepare: renamed("ClusterId", "JobFlowIds", true),
		describe: "describeCluster", ask: clusterByID, status: "Cluster.Status.State",
		good: []string{"TERMINATED", "TERMINATED_WITH_ERRORS"}, result: "Cluster", as: "Cluster", keep: "ClusterId"},
	"elasticmapreduce:addStep": {family: emrClusters, begin: "addJobFlowSteps", prepare: oneStep, submitted: firstStep,
		describe: "describeStep", ask: []string{"ClusterId=in.ClusterId", "StepId=out.StepId"}, status: "Step.Status.State",
		good: []string{"COMPLETED"}, bad: []string{"CANCELLED", "FAILED", "INTERRUPTED"}, result: "Step", as: "Step",
		stop: "cancelSteps", with: []string{"ClusterId=in.ClusterId", "StepIds[]=out.StepId"}},
	"elasticmapreduce:cancelStep": {family: emrClusters, begin: "cancelSteps", prepare: renamed("StepId", "StepIds", true), submitted: firstCancelled},
	"elasticmapreduce:setClusterTerminationProtection": {family: emrClusters, begin: "setTerminationProtection",
		prepare: renamed("ClusterId", "JobFlowIds", true)},

	"elasticmapreduce:modifyInstanceFleetByName": {family: emrClusters, begin: "modifyInstanceFleet", named: &named{
		parameter: "InstanceFleetName", list: "listInstanceFleets", of: "InstanceFleets", config: "InstanceFleet", id: "InstanceFleetId"}},
	"elasticmapreduce:modifyInstanceGroupByName": {family: emrClusters, begin: "modifyInstanceGroups", named: &named{
		parameter: "InstanceGroupName", list: "listInstanceGroups", of: "InstanceGroups", config: "InstanceGroup", id: "InstanceGroupId", as: "InstanceGroups"}},

	"emr-containers:createVirtualCluster": {family: emrContainers},
	"emr-containers:deleteVirtualCluster": {family: emrContainers, describe: "describeVirtualCluster", ask: []string{"Id=in.Id"},
		status: "VirtualCluster.State", good: []string{"TERMINATED"}, bad: []string{"ARRESTED"}, gone: true, result: "VirtualCluster"},
	"emr-containers:startJobRun": {family: emrContainers, describe: "describeJobRun", ask: []string{"VirtualClusterId=in.VirtualClusterId", "Id=out.Id"},
		status: "JobRun.State", good: []string{"COMPLETED"}, bad: []string{"FAILED", "CANCELLED"}, result: "JobRun",
		stop: "cancelJobRun", with: []string{"VirtualClusterId=in.VirtualClusterId", "Id=out.Id"}},

	"emr-serverless:createApplication": {family: emrServerless, describe: "getApplication", ask: []string{"ApplicationId=out.ApplicationId"},
		status: "Application.State", good: []string{"CREATED", "STARTED"}, bad: []string{"TERMINATED"}},
	"emr-serverless:startApplication": {family: emrServerless, describe: "getApplication", ask: applicationIn,
		status: "Application.State", good: []string{"STARTED"}, bad: []string{"STOPPED", "TERMINATED"},
		stop: "stopApplication", with: applicationIn},
	"emr-serverless:stopApplication": {family: emrServerless, describe: "getApplication", ask: applicationIn,
		status: "Application.State", good: []string{"STOPPED"}, bad: []string{"TERMINATED"}},
	"emr-serverless:deleteApplication": {family: emrServerless, describe: "getApplication", ask: applicationIn,
		status: "Application.State", good: []string{"TERMINATED"}, gone: true},
	"emr-serverless:startJobRun": {family: emrServerless, describe: "getJobRun", ask: []string{"ApplicationId=in.ApplicationId", "JobRunId=out.JobRunId"},
		status: "JobRun.State", good: []string{"SUCCESS"}, bad: []string{"FAILED", "CANCELLED"},
		stop: "cancelJobRun", with: []string{"ApplicationId=in.ApplicationId", "JobRunId=out.JobRunId"}},
	"emr-serverless:cancelJobRun": {family: emrServerless, describe: "getJobRun", ask: jobRunIn,
		status: "JobRun.State", good: []string{"CANCELLED"}, bad: []string{"SUCCESS", "FAILED"}},

	"codebuild:startBuild": {family: codeBuilds, describe: "batchGetBuilds", ask: []string{"Ids[]=out.Build.Id"},
		status: "Builds.0.BuildStatus", good: []string{"SUCCEEDED"}, bad: buildEndings, result: "Builds.0", as: "Build",
		stop: "stopBuild", with: []string{"Id=out.Build.Id"}},
	"codebuild:startBuildBatch":   buildBatch(),
	"codebuild:retryBuildBatch":   buildBatch(),
	"codebuild:stopBuild":         {family: codeBuilds},
	"codebuild:batchDeleteBuilds": {family: codeBuilds},
	"codebuild:batchGetReports":   {family: codeBuilds},
	"codebuild:stopBuildBatch":    {family: codeBuilds},
	"codebuild:deleteBuildBatch":  {family: codeBuilds},

	"athena:startQueryExecution": {family: athenaQueries, describe: "getQueryExecution", ask: []string{"QueryExecutionId=out.QueryExecutionId"},
		status: "QueryExecution.Status.State", good: []string{"SUCCEEDED"}, bad: []string{"FAILED", "CANCELLED"},
		stop: "stopQueryExecution", with: []string{"QueryExecutionId=out.QueryExecutionId"}},
	"athena:stopQueryExecution": {family: athenaQueries},
	"athena:getQueryExecution":  {family: athenaQueries},
	"athena:getQueryResults":    {family: athenaQueries},

	"eks:createCluster": {family: eksClusters, describe: "describeCluster", ask: []string{"Name=in.Name"},
		status: "Cluster.Status", good: []string{"ACTIVE"}, bad: []string{"FAILED"}},
	"eks:deleteCluster": {family: eksClusters, describe: "describeCluster", ask: []string{"Name=in.Name"},
		status: "Cluster.Status", bad: []string{"FAILED"}, gone: true},
	"eks:createNodegroup": {family: eksClusters, describe: "describeNodegroup", ask: nodegroupIn,
		status: "Nodegroup.Status", good: []string{"ACTIVE"}, bad: []string{"CREATE_FAILED"}},
	"eks:deleteNodegroup": {family: eksClusters, describe: "describeNodegroup", ask: nodegroupIn,
		status: "Nodegroup.Status", bad: []string{"DELETE_FAILED"}, gone: true},
	"eks:createFargateProfile": {family: eksClusters, describe: "describeFargateProfile", ask: fargateIn,
		status: "FargateProfile.Status", good: []string{"ACTIVE"}, bad: []string{"CREATE_FAILED"}},
	"eks:deleteFargateProfile": {family: eksClusters, describe: "describeFargateProfile", ask: fargateIn,
		status: "FargateProfile.Status", bad: []string{"DELETE_FAILED"}, gone: true},

	"bedrock:createModelCustomizationJob": {family: bedrockJobs, describe: "getModelCustomizationJob", ask: []string{"JobIdentifier=out.JobArn"},
		status: "Status", good: []string{"Completed"}, bad: []string{"Failed", "Stopped"},
		stop: "stopModelCustomizationJob", with: []string{"JobIdentifier=out.JobArn"}},
	"mediaconvert:createJob": {family: transcodings, describe: "getJob", ask: []string{"Id=out.Job.Id"},
		status: "Job.Status", good: []string{"COMPLETE"}, bad: []string{"ERROR", "CANCELED"},
		stop: "cancelJob", with: []string{"Id=out.Job.Id"}},
}

const whyStopped = "The Step Functions task that waited for it has ended"

func sageMakerJob(kind string) *job {
	byName := []string{kind + "Name=in." + kind + "Name"}
	return &job{family: sageMakerJobs, describe: "describe" + kind, ask: byName, status: kind + "Status",
		good: []string{"Completed"}, bad: []string{"Failed", "Stopped"}, stop: "stop" + kind, with: byName}
}

func buildBatch() *job {
	return &job{family: codeBuilds, describe: "batchGetBuildBatches", ask: []string{"Ids[]=out.BuildBatch.Id"},
		status: "BuildBatches.0.BuildBatchStatus", good: []string{"SUCCEEDED"}, bad: buildEndings, result: "BuildBatches.0", as: "BuildBatch",
		stop: "stopBuildBatch", with: []string{"Id=out.BuildBatch.Id"}}
}

// renamed gives a parameter the name that the service has for it, in a list if
// the service takes several.
func renamed(from, to string, list bool) func(value.Value) (value.Value, error) {
	return func(in value.Value) (value.Value, error) {
		v := in.Get(from)
		if v.IsAbsent() {
			return in, missing(from)
		}
		if list {
			v = value.ArrayOf([]value.Value{v})
		}
		return in.Without(from).With(to, v), nil
	}
}

// oneStep makes the Step of addStep the service's list of them.
func oneStep(in value.Value) (value.Value, error) {
	out, err := renamed("ClusterId", "JobFlowId", false)(in)
	if err != nil {
		return in, err
	}
	return renamed("Step", "Steps", true)(out)
}

func firstStep(_, answer value.Value) (value.Value, *task.Error) {
	return value.ObjectOf([]value.Member{{Key: "StepId", Value: at(answer, "StepIds.0")}}), nil
}

func firstCancelled(_, answer value.Value) (value.Value, *task.Error) {
	return value.ObjectOf([]value.Member{{Key: "CancelStepsInfo", Value: at(answer, "CancelStepsInfoList.0")}}), nil
}

func clusterOfFlow(_, answer value.Value) (value.Value, *task.Error) {
	return value.ObjectOf([]value.Member{
		{Key: "ClusterArn", Value: answer.Get("ClusterArn")}, {Key: "ClusterId", Value: answer.Get("JobFlowId")},
	}), nil
}

// allPlaced fails where a cluster could not place every task.
func allPlaced(_, answer value.Value) (value.Value, *task.Error) {
	if answer.Get("Failures").Len() > 0 {
		return answer, task.Fail("ECS.AmazonECSException", answer.JSON())
	}
	return answer, nil
}

// exitedBadly reports whether a task's containers did not all end well, or did
// not begin. Containers that are not essential are not told apart in it.
func exitedBadly(d value.Value) bool {
	t := at(d, "Tasks.0")
	if slices.Contains([]string{"TaskFailedToStart", "EssentialContainerExitedWithError"}, t.Get("StopCode").Str()) {
		return true
	}
	for _, c := range t.Get("Containers").Items() {
		if n, ok := c.Get("ExitCode").Int64(); ok && n != 0 {
			return true
		}
	}
	return false
}
