//! Around the cluster: once with the machine's `kubectl`, once with Debian's 1.20, which knows neither WebSockets nor OpenAPI v3.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Kubectl;
use crate::{ECHO, Served, installed, is_here};

const FILES: [(&str, &str); 5] = [
    ("web.yaml", WEB),
    ("other.yaml", OTHER),
    ("bad.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad, colour: red}\ndato: {}\n"),
    ("boats.yaml", BOATS),
    ("boat.yaml", "apiVersion: example.dev/v1\nkind: Boat\nmetadata: {name: coracle}\nspec: {size: 1}\n"),
];

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: c
        image: example:v1
        command: [sh, -c, "echo one; echo two; while true; do echo hello; sleep 1; done"]
"#;

/// What another manager wants of the same object.
const OTHER: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {replicas: 5}
"#;

const BOATS: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.example.dev}
spec:
  group: example.dev
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat, shortNames: [bt]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            description: How the boat is to be.
            properties: {size: {type: integer, minimum: 1, description: "Metres, from stem to stern."}}
          status: {type: object, properties: {size: {type: integer}}}
"#;

impl Kubectl {
    /// A command that goes on until it is dropped.
    fn follow(&self, line: &str) -> Followed {
        let mut child = self.command(line).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Followed { line: line.to_owned(), child, lines }
    }
}

/// A running command, line by line.
struct Followed {
    line: String,
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Followed {
    /// Reads on to the line that has this in it.
    fn until(&mut self, part: &str) -> String {
        let mut seen = String::new();
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            if line.contains(part) {
                return line;
            }
            seen += &line;
        }
        panic!("kubectl {} ended without {part:?}\n{seen}", self.line);
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        // `timeout` passes the signal on to kubectl; a kill would leave kubectl behind.
        let _sent = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ended = self.child.wait();
    }
}

fn looks_around(kubectl: &Kubectl) {
    kubectl.ok("version", &["v1.36"]);
    kubectl.ok("cluster-info", &["control plane", "is running at"]);
    kubectl.ok("api-versions", &["apps/v1", "rbac.authorization.k8s.io/v1"]);
    kubectl.ok("api-resources", &["deployments", "deploy", "HorizontalPodAutoscaler"]);
    kubectl.ok("get nodes", &["NAME", "STATUS", "local", "Ready", "v1.36"]);
    kubectl.ok("get all -A", &["service/kubernetes", "10.96.0.1"]);
    kubectl.ok("get componentstatuses", &[]);
    kubectl.ok("get --raw /readyz?verbose", &["[+]ping ok", "readyz check passed"]);
    kubectl.ok("get --raw /metrics", &["apiserver_request_total", "apiserver_storage_objects"]);
    kubectl.ok("auth can-i create deployments", &["yes"]);
    kubectl.refused("auth can-i create deployments --as=nobody", "no");
    kubectl.ok("auth can-i --list", &["*.*"]);
    kubectl.ok("explain deploy.spec.strategy", &["RollingUpdate"]);
    kubectl.ok("explain pod --recursive", &["restartPolicy", "topologySpreadConstraints", "serviceAccountName"]);
    kubectl.ok("get --raw /apis/metrics.k8s.io/v1beta1/pods", &["PodMetricsList"]);
    kubectl.ok("top pods", &[""]);
    kubectl.refused("get nothing", "the server doesn't have a resource type");
    kubectl.refused("get deploy nothing", "deployments.apps \"nothing\" not found");
}

fn deploys(kubectl: &Kubectl) {
    kubectl.refused("diff -f web.yaml", "+  name: web");
    kubectl.ok("apply -f web.yaml", &["deployment.apps/web created"]);
    kubectl.ok("rollout status deploy/web --timeout=60s", &["successfully rolled out"]);
    kubectl.ok("diff -f web.yaml", &[]);
    kubectl.ok("get deploy,rs,pods -o wide", &["2/2", "CONTAINERS", "example:v1", "local"]);
    kubectl.ok("get pods -l app=web --field-selector=status.phase=Running -o name", &["pod/web-"]);
    kubectl.ok("get pods -l app=nothing", &["No resources found"]);
    kubectl.ok("get pods --sort-by=.metadata.name --show-labels --chunk-size=1", &["app=web"]);
    kubectl.ok("get deploy web -o yaml", &["progressDeadlineSeconds: 600", "maxSurge: 25%", "resources: {}"]);
    kubectl.ok("get deploy web -o custom-columns=N:.metadata.name,R:.spec.replicas", &["web", "2"]);
    kubectl.ok("apply -f web.yaml", &["deployment.apps/web unchanged"]);
    kubectl.ok("scale deploy/web --replicas=3", &["scaled"]);
    kubectl.ok("rollout status deploy/web --timeout=60s", &["successfully rolled out"]);
    kubectl.ok("set image deploy/web c=example:v2", &["image updated"]);
    kubectl.ok("rollout status deploy/web --timeout=60s", &["successfully rolled out"]);
    kubectl.ok("rollout history deploy/web", &["REVISION", "1 ", "2 "]);
    kubectl.ok("rollout undo deploy/web", &["rolled back"]);
    kubectl.ok("rollout status deploy/web --timeout=60s", &["successfully rolled out"]);
    kubectl.ok("get deploy web -o jsonpath={.spec.template.spec.containers[0].image}", &["example:v1"]);
    kubectl.ok("rollout restart deploy/web", &["restarted"]);
    kubectl.ok("rollout status deploy/web --timeout=60s", &["successfully rolled out"]);
    kubectl.ok("rollout pause deploy/web", &["paused"]);
    kubectl.ok("rollout resume deploy/web", &["resumed"]);
    kubectl.ok("wait --for=condition=Available deploy/web --timeout=60s", &["condition met"]);
    kubectl.ok("describe deploy/web", &["RollingUpdateStrategy", "ScalingReplicaSet", "MinimumReplicasAvailable"]);
    // Commands that list pods and then ask for one fail when that one has gone meanwhile.
    kubectl.soon("get pods -l app=web -o jsonpath=<{.items[*].kind}>", "<Pod Pod Pod>");
    kubectl.ok("describe pods", &["Node:", "local", "Started"]);
    kubectl.ok("describe node local", &["Capacity:", "Allocatable:", "Non-terminated Pods"]);
    kubectl.ok("get events", &["Scheduled", "SuccessfulCreate"]);
}

fn changes(kubectl: &Kubectl) {
    kubectl.ok("patch deploy web -p {\"spec\":{\"minReadySeconds\":1}}", &["patched"]);
    kubectl.ok("patch deploy web --type=merge -p {\"spec\":{\"minReadySeconds\":0}}", &["patched"]);
    kubectl
        .ok("patch deploy web --type=json -p [{\"op\":\"remove\",\"path\":\"/spec/minReadySeconds\"}]", &["patched"]);
    kubectl.ok("annotate deploy web example.dev/x=y", &["annotated"]);
    kubectl.ok("label deploy web tier=front", &["labeled"]);
    kubectl.refused("apply --server-side --validate=false --field-manager=other -f other.yaml", "conflict");
    kubectl.ok(
        "apply --server-side --validate=false --field-manager=other --force-conflicts -f other.yaml",
        &["serverside-applied"],
    );
    kubectl.ok("get deploy web -o jsonpath={.spec.replicas}", &["5"]);
    kubectl.ok("apply --server-side --force-conflicts -f web.yaml", &["serverside-applied"]);
    kubectl.ok("expose deploy web --port=80", &["service/web exposed"]);
    kubectl.ok("autoscale deploy web --max=3", &["autoscaled"]);
    kubectl.ok("set env deploy/web COLOR=blue", &["env updated"]);
    kubectl.ok("taint node local example.dev/t=v:PreferNoSchedule", &["tainted"]);
    kubectl.ok("cordon local", &["cordoned"]);
    kubectl.ok("get nodes", &["SchedulingDisabled"]);
    kubectl.ok("uncordon local", &["uncordoned"]);
    kubectl.refused("apply -f bad.yaml", "unknown field");
}

/// These send their bodies in protobuf.
fn creates(kubectl: &Kubectl) {
    kubectl.ok("create namespace shop", &["namespace/shop created"]);
    kubectl.ok("create configmap colors --from-literal=sky=blue -n shop", &["configmap/colors created"]);
    kubectl.ok("get configmap colors -n shop -o yaml", &["sky: blue"]);
    kubectl.ok("create secret generic key --from-literal=a=b -n shop", &["secret/key created"]);
    kubectl.ok("create quota few --hard=pods=9 -n shop", &["resourcequota/few created"]);
    kubectl.ok("create serviceaccount robot -n shop", &["serviceaccount/robot created"]);
    kubectl
        .ok("create role reads --verb=get --resource=pods -n shop", &["role.rbac.authorization.k8s.io/reads created"]);
    kubectl.ok("create rolebinding reads --role=reads --serviceaccount=shop:robot -n shop", &["created"]);
    kubectl.ok("auth can-i get pods -n shop --as=system:serviceaccount:shop:robot", &["yes"]);
    kubectl.ok(
        "create job once --image=example --dry-run=server -o yaml",
        &["backoffLimit: 6", "batch.kubernetes.io/job-name"],
    );
    kubectl.ok("delete configmap --all -n shop", &["\"colors\" deleted"]);
    kubectl.ok("delete namespace shop --timeout=60s", &["deleted"]);
}

fn watches_and_streams(kubectl: &Kubectl) {
    let mut watched = kubectl.follow("get deploy web -w");
    watched.until("web");
    kubectl.ok("scale deploy web --replicas=1", &["scaled"]);
    watched.until("/1");
    kubectl.ok("rollout status deploy/web --timeout=60s", &["successfully rolled out"]);
    kubectl.soon("get pods -l app=web -o jsonpath=<{.items[*].kind}>", "<Pod>");
    kubectl.soon("logs deploy/web --tail=1", "hello");
    let mut logs = kubectl.follow("logs -f deploy/web");
    logs.until("hello");
    logs.until("hello");
}

/// These ask for a WebSocket, or for SPDY if that is all they know.
fn forwards(kubectl: &Kubectl) {
    let echo = Path::new(env!("CARGO_MANIFEST_DIR")).join(ECHO);
    kubectl.ok(&format!("apply -f {}", echo.display()), &["pod/echo created"]);
    kubectl.ok("wait --for=condition=Ready pod/echo --timeout=60s", &["condition met"]);
    kubectl.follow("logs -f echo").until("listening");
    kubectl.ok("exec echo -- echo hello", &["hello"]);
    kubectl.refused("exec echo -- sh -c exit~3", "exit code 3");
    let mut forward = kubectl.follow("port-forward pod/echo :8080");
    let line = forward.until("Forwarding from 127.0.0.1:");
    let port = line.rsplit_once("127.0.0.1:").and_then(|(_, rest)| rest.split_once(' ')).unwrap().0;
    let mut connection = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    connection.write_all(b"hello\n").unwrap();
    let mut heard = String::new();
    BufReader::new(&connection).read_line(&mut heard).unwrap();
    assert_eq!(heard, "heard hello\n");
    kubectl.ok("delete pod echo", &["deleted"]);
}

fn custom_resources(kubectl: &Kubectl) {
    kubectl.ok("apply -f boats.yaml", &["boats.example.dev created"]);
    kubectl.ok("wait --for=condition=Established crd/boats.example.dev --timeout=60s", &["condition met"]);
    kubectl.ok("apply -f boat.yaml", &["boat.example.dev/coracle created"]);
    kubectl.ok("get bt", &["NAME", "SIZE", "coracle"]);
    kubectl.ok("explain boat.spec", &["How the boat is to be.", "Metres, from stem to stern."]);
    kubectl.ok("patch boat coracle --type=merge -p {\"spec\":{\"size\":2}}", &["patched"]);
    kubectl
        .refused("patch boat coracle --type=merge -p {\"spec\":{\"size\":0}}", "should be greater than or equal to 1");
    kubectl.ok("scale boat coracle --replicas=3", &["scaled"]);
    kubectl.ok("get boat coracle -o jsonpath={.spec.size}", &["3"]);
    kubectl.ok("describe boat coracle", &["Size:", "3"]);
    kubectl.ok("delete boats --all", &["deleted"]);
    kubectl.ok("delete crd boats.example.dev --timeout=60s", &["deleted"]);
}

fn the_end(kubectl: &Kubectl) {
    kubectl.ok("drain local --ignore-daemonsets --force --timeout=60s", &["evicted"]);
    kubectl.ok("delete deploy web --cascade=orphan", &["deleted"]);
    kubectl.ok("get rs,pods", &["replicaset.apps/web-", "pod/web-"]);
    kubectl.ok("delete rs -l app=web --cascade=foreground", &["deleted"]);
    kubectl.ok("get pods", &["No resources found"]);
}

fn tour(program: PathBuf, directory: &Path) {
    let kubectl = Kubectl::new(program, directory);
    for (name, text) in FILES {
        std::fs::write(directory.join(name), text).unwrap();
    }
    for step in [looks_around, deploys, changes, creates, watches_and_streams, custom_resources, forwards, the_end] {
        step(&kubectl);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_machine_s_kubectl() {
    let program = PathBuf::from("kubectl");
    if is_here(&program, &["version", "--client"]) {
        Served::start().await.tour(move |directory| tour(program, directory)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_1_20() {
    let program = installed("kubectl-1.20/usr/bin/kubectl");
    if is_here(&program, &["version", "--client"]) {
        Served::start().await.tour(move |directory| tour(program, directory)).await;
    }
}
