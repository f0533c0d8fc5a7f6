package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-run/lockstep/asl"
	"github.com/lockstep-run/lockstep/asl/value"
	"github.com/lockstep-run/lockstep/internal/task"
	"github.com/lockstep-run/lockstep/internal/task/awscall"
)

// kubeJobs runs eks:runJob: a batch/v1 Job on a cluster. It is a task.Poller.
type kubeJobs struct{ services *Services }

var (
	kubernetesJobs = &family{service: "kubernetes", prefix: "EKS"} // for the pace of asking
	runJobFields   = append(slices.Clone(clusterFields), "Namespace", "Job", "LogOptions")
	namespaceName  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// begunBy is the annotation of a job that tells which task it was made for.
const begunBy = "lockstep.run/task"

// runJob is what a task of eks:runJob asks for.
type runJob struct {
	to        *cluster
	namespace string
	job       value.Value

	logs    bool
	rawLogs bool
	logsBy  map[string][]string // parameters of the API that reads logs

	name, uid string // of the job, once it is there
}

// path leads to the jobs of the namespace.
func (j *runJob) path() string { return "/apis/batch/v1/namespaces/" + j.namespace + "/jobs" }

// read reads a task's parameters.
func (k *kubeJobs) read(c *task.Call) (*runJob, error) {
	in, err := parameters(c.Input)
	if err != nil {
		return nil, err
	}
	in = given(in)
	if bad := awscall.Check(c.Input, in, runJobFields, "ClusterName", "CertificateAuthority", "Endpoint", "Namespace"); bad != nil {
		return nil, bad
	}
	j, err := k.job(c.ID, in)
	if err != nil {
		return nil, describe(c.Input, err)
	}
	return j, nil
}

func (k *kubeJobs) job(id string, in value.Value) (*runJob, error) {
	j := &runJob{namespace: "default"}
	if v := in.Get("Namespace"); !v.IsAbsent() {
		j.namespace = v.Str()
	}
	if !namespaceName.MatchString(j.namespace) {
		return nil, malformed("Namespace")
	}
	if in.Get("Job").IsAbsent() {
		return nil, missing("Job")
	}
	var err error
	if j.job, err = jobFor(id, in.Get("Job")); err != nil {
		return nil, err
	}
	if err := j.readLogOptions(in.Get("LogOptions")); err != nil {
		return nil, err
	}
	j.to, err = k.services.clusterOf(in)
	return j, err
}

// jobFor completes a job, which may be an object or its text, with what every job
// has, a name if it has none, and the task that it is made for.
func jobFor(id string, job value.Value) (value.Value, error) {
	if job.Kind() == value.String {
		job = jsonOrText(job.Str())
	}
	meta := orEmpty(job.Get("metadata"))
	notes := orEmpty(meta.Get("annotations"))
	if job.Kind() != value.Object || meta.Kind() != value.Object || notes.Kind() != value.Object {
		return job, malformed("Job")
	}
	sum := sha256.Sum256([]byte(id))
	mark := hex.EncodeToString(sum[:10])
	if meta.Get("name").Str() == "" {
		// A name that the cluster would make up were another each time.
		prefix := or(meta.Get("generateName").Str(), "lockstep-")
		meta = meta.Without("generateName").With("name", value.Str(awscall.Short(prefix, 63-len(mark))+mark))
	}
	meta = meta.With("annotations", notes.With(begunBy, value.Str(mark)))
	for _, m := range []value.Member{{Key: "apiVersion", Value: value.Str("batch/v1")}, {Key: "kind", Value: value.Str("Job")}} {
		if job.Get(m.Key).IsAbsent() {
			job = job.With(m.Key, m.Value)
		}
	}
	return job.With("metadata", meta), nil
}

func orEmpty(v value.Value) value.Value {
	if v.IsAbsent() || v.IsNull() {
		return value.ObjectOf(nil)
	}
	return v
}

func (j *runJob) readLogOptions(v value.Value) (err error) {
	if v = orEmpty(v); v.Kind() != value.Object {
		return mustBe("LogOptions", "an OBJECT")
	}
	for name, x := range given(v).Members() {
		switch name {
		case "RetrieveLogs", "RawLogs":
			if x.Kind() != value.Bool {
				return mustBe(name, "a BOOLEAN")
			}
		case "LogParameters":
		default:
			return badParameter("The field '" + name + "' is not supported by Step Functions")
		}
	}
	v = given(v)
	j.logs, j.rawLogs = v.Get("RetrieveLogs").Bool(), v.Get("RawLogs").Bool()
	j.logsBy, err = lists("LogParameters", v.Get("LogParameters"))
	return err
}

// Run makes the job. One of its name that an earlier try of the same task has
// made is that job; any other is EKS.409.
func (k *kubeJobs) Run(ctx context.Context, c *task.Call) (task.Result, error) {
	j, err := k.read(c)
	if err != nil {
		return task.Result{}, err
	}
	// Whoever gives up while a job begins still learns what it is.
	if c.Resource.Pattern == asl.Sync {
		starting, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		ctx = starting
	}
	r, err := k.services.ask(ctx, j.to, kubeRequest{method: http.MethodPost, path: j.path(), body: j.job.JSON()})
	if failedAs(err, "EKS.409") {
		r, err = k.earlier(ctx, j, err)
	}
	if err != nil {
		return task.Result{}, err
	}
	return task.Result{Output: kubeResult(r).JSON()}, nil
}

// earlier finds the job that an earlier try has made. exists is what the cluster
// said to this one.
func (k *kubeJobs) earlier(ctx context.Context, j *runJob, exists error) (*awscall.Response, error) {
	r, err := k.services.ask(ctx, j.to, kubeRequest{method: http.MethodGet, path: j.path() + "/" + awscall.EscapePath(nameOf(j.job))})
	if err != nil || markOf(body(r)) != markOf(j.job) {
		return nil, exists
	}
	r.Status = http.StatusCreated // as it was answered then
	return r, nil
}

func nameOf(object value.Value) string { return at(object, "metadata.name").Str() }

func markOf(job value.Value) string { return at(job, "metadata.annotations").Get(begunBy).Str() }

func failedAs(err error, name string) bool {
	var e *task.Error
	return errors.As(err, &e) && e.Name != nil && *e.Name == name
}

// begun is the job that a task has made.
func (k *kubeJobs) begun(c *task.Call, submitted string) (*runJob, error) {
	out, err := value.Parse(submitted)
	if err != nil || nameOf(out.Get("ResponseBody")) == "" {
		return nil, task.Fail("States.Runtime", "The submission of "+c.ID+" has no name by which the job could be found.")
	}
	j, err := k.read(c)
	if err != nil {
		return nil, err
	}
	j.name, j.uid = nameOf(out.Get("ResponseBody")), at(out, "ResponseBody.metadata.uid").Str()
	return j, nil
}

// Poll asks how the job stands until it has ended, at growing intervals. A
// cluster that does not answer now is asked again. Its result is the job, with
// its logs where they are wished for.
func (k *kubeJobs) Poll(ctx context.Context, c *task.Call, submitted string) (task.Result, error) {
	j, err := k.begun(c, submitted)
	if err != nil {
		return task.Result{}, err
	}
	begun := time.Now()
	for n := 0; ; n++ {
		if err := k.services.turn(ctx, kubernetesJobs, n, time.Since(begun)); err != nil {
			return task.Result{}, err
		}
		r, err := k.services.ask(ctx, j.to, kubeRequest{method: http.MethodGet, path: j.path() + "/" + awscall.EscapePath(j.name)})
		switch {
		case ctx.Err() != nil:
			return task.Result{}, ctx.Err()
		case err != nil && clusterPasses(err):
			continue
		case err != nil:
			return task.Result{}, err
		}
		job := body(r)
		if uid := at(job, "metadata.uid").Str(); uid != j.uid && uid != "" && j.uid != "" {
			return task.Result{}, task.Fail("States.TaskFailed", "The job "+j.name+" is gone, and another has its name.")
		}
		if how := endingOf(job); how != "" {
			return k.end(ctx, j, job, how == "Complete")
		}
	}
}

// endingOf is the condition that ends a job: Complete or Failed.
func endingOf(job value.Value) string {
	for _, c := range at(job, "status.conditions").Items() {
		kind := c.Get("type").Str()
		if c.Get("status").Str() == "True" && (kind == "Complete" || kind == "Failed") {
			return kind
		}
	}
	return ""
}

// clusterPasses reports whether an error of a cluster says nothing about the job.
func clusterPasses(err error) bool {
	var e *task.Error
	return !errors.As(err, &e) || e.Name == nil || *e.Name == "EKS.SdkClientException" || *e.Name == "EKS.429" || strings.HasPrefix(*e.Name, "EKS.5")
}

func (k *kubeJobs) end(ctx context.Context, j *runJob, job value.Value, well bool) (task.Result, error) {
	var logs []containerLog
	if j.logs {
		logs = k.logsOf(ctx, j, job)
		if ctx.Err() != nil {
			return task.Result{}, ctx.Err()
		}
	}
	switch {
	case !well:
		return task.Result{}, task.Fail("States.TaskFailed", failedWith(j, job, logs))
	case j.logs:
		job = job.With("logs", tree(logs, maxAnswer))
	}
	return task.Result{Output: job.JSON()}, nil
}

// failedWith is the cause of a job's failure: the job, and of its logs' ends what
// there is room for.
func failedWith(j *runJob, job value.Value, logs []containerLog) string {
	if !j.logs {
		return job.JSON()
	}
	for most := maxCause; most > 50; most /= 2 {
		if cause := job.With("logs", tree(logs, most)).JSON(); len(cause) <= maxCause {
			return cause
		}
	}
	return job.JSON()
}

// containerLog is what a container has written, or why that is not known. Where
// even the pods are not known it names none.
type containerLog struct {
	pod, container string
	log            value.Value
	failed         error
}

// logsOf reads the logs of a job's containers, as well as that can be done.
func (k *kubeJobs) logsOf(ctx context.Context, j *runJob, job value.Value) (logs []containerLog) {
	pods := "/api/v1/namespaces/" + j.namespace + "/pods"
	query := url.Values{"labelSelector": {selectorOf(job)}, "limit": {"50"}}
	for room := maxAnswer; ; {
		r, err := k.services.ask(ctx, j.to, kubeRequest{method: http.MethodGet, path: pods, query: query})
		if err != nil {
			return append(logs, containerLog{failed: err})
		}
		list := body(r)
		for _, pod := range list.Get("items").Items() {
			for _, container := range at(pod, "spec.containers").Items() {
				l := containerLog{pod: nameOf(pod), container: container.Get("name").Str()}
				room -= k.readLog(ctx, j, pods, &l, room)
				logs = append(logs, l)
			}
		}
		next := at(list, "metadata.continue").Str()
		if next == "" || ctx.Err() != nil {
			return logs
		}
		query.Set("continue", next)
	}
}

// readLog reads a log of at most room bytes, and returns how many it has.
func (k *kubeJobs) readLog(ctx context.Context, j *runJob, pods string, l *containerLog, room int) int {
	if room <= 0 {
		l.failed = tooLarge("eks")
		return 0
	}
	query := url.Values(maps.Clone(j.logsBy))
	if query == nil {
		query = url.Values{}
	}
	query.Set("container", l.container)
	r, err := k.services.ask(ctx, j.to, kubeRequest{
		method: http.MethodGet, path: pods + "/" + awscall.EscapePath(l.pod) + "/log", query: query, limit: room,
	})
	if err != nil {
		l.failed = err
		return 0
	}
	l.log = value.Str(strings.ToValidUTF8(r.Body, "\uFFFD"))
	if !j.rawLogs {
		l.log = jsonOrText(r.Body)
	}
	return len(r.Body)
}

// selectorOf selects a job's own pods.
func selectorOf(job value.Value) string {
	var labels []string
	for name, v := range at(job, "spec.selector.matchLabels").Members() {
		labels = append(labels, name+"="+v.Str())
	}
	if labels == nil {
		return "job-name=" + nameOf(job)
	}
	return strings.Join(labels, ",")
}

// tree is logs as a result shows them, of each no more than the last bytes.
func tree(logs []containerLog, most int) value.Value {
	out, pods := value.ObjectOf(nil), value.ObjectOf(nil)
	for _, l := range logs {
		if l.pod == "" {
			out = withFailure(out, l.failed)
			continue
		}
		entry := value.ObjectOf(nil)
		if l.failed != nil {
			entry = withFailure(entry, l.failed)
		} else {
			entry = entry.With("log", lastOf(l.log, most))
		}
		containers := orEmpty(pods.Get(l.pod).Get("containers")).With(l.container, entry)
		pods = pods.With(l.pod, value.ObjectOf([]value.Member{{Key: "containers", Value: containers}}))
	}
	return out.With("pods", pods)
}

func withFailure(v value.Value, err error) value.Value {
	name, cause := "States.TaskFailed", err.Error()
	var e *task.Error
	if errors.As(err, &e) && e.Name != nil && e.Cause != nil {
		name, cause = *e.Name, *e.Cause
	}
	return v.With("error", value.Str(name)).With("cause", value.Str(cause))
}

// lastOf is a log, or the end of its text where it is longer than most.
func lastOf(log value.Value, most int) value.Value {
	s := text(log)
	if len(s) <= most {
		return log
	}
	return value.Str(strings.ToValidUTF8(s[len(s)-most:], ""))
}

// Cancel deletes the job, and so stops its pods. One that is gone already, or has
// given its name to another, is none to stop.
func (k *kubeJobs) Cancel(ctx context.Context, c *task.Call, submitted string) error {
	j, err := k.begun(c, submitted)
	if err != nil {
		return err
	}
	options := value.ObjectOf([]value.Member{
		{Key: "apiVersion", Value: value.Str("v1")}, {Key: "kind", Value: value.Str("DeleteOptions")},
		{Key: "propagationPolicy", Value: value.Str("Background")},
		{Key: "preconditions", Value: value.ObjectOf([]value.Member{{Key: "uid", Value: value.Str(j.uid)}})},
	})
	if j.uid == "" {
		options = options.Without("preconditions")
	}
	_, err = k.services.ask(ctx, j.to, kubeRequest{method: http.MethodDelete, path: j.path() + "/" + awscall.EscapePath(j.name), body: options.JSON()})
	if failedAs(err, "EKS.404") || failedAs(err, "EKS.409") {
		return nil
	}
	return err
}
