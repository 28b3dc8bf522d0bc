//! The real `kubectl`, unmodified, against a cluster that listens on loopback. Needs `kubectl` on the PATH; says so if it is missing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use coracle::node::runtimes::ProcessRuntime;
use coracle::{Cluster, Node};

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
        command: [sh, -c, "while true; do echo hello; sleep 1; done"]
"#;

struct Kubectl {
    kubeconfig: PathBuf,
    directory: PathBuf,
}

impl Kubectl {
    /// What a command prints, both streams. Panics if it ends otherwise than expected.
    fn run(&self, line: &str, succeeds: bool) -> String {
        let words = line.split_whitespace().map(|word| word.replace('~', " "));
        let output = Command::new("timeout")
            .args(["60", "kubectl"])
            .args(words)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", &self.directory)
            .env("HOME", &self.directory)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(output.status.success(), succeeds, "kubectl {line}\n{text}");
        text
    }

    /// A command that succeeds and prints all of these.
    fn ok(&self, line: &str, expected: &[&str]) {
        let text = self.run(line, true);
        for part in expected {
            assert!(text.contains(part), "kubectl {line}\nlacks {part:?}\n{text}");
        }
    }

    /// A command that fails and prints this.
    fn refused(&self, line: &str, expected: &str) {
        let text = self.run(line, false);
        assert!(text.contains(expected), "kubectl {line}\nlacks {expected:?}\n{text}");
    }
}

fn tour(kubectl: &Kubectl) {
    kubectl.ok("version", &["v1.36"]);
    kubectl.ok("api-resources", &["deployments", "deploy", "HorizontalPodAutoscaler"]);
    kubectl.ok("get nodes", &["NAME", "STATUS", "local", "Ready", "v1.36"]);
    kubectl.ok("get all -A", &["service/kubernetes", "10.96.0.1"]);
    kubectl.ok("apply -f web.yaml", &["deployment.apps/web created"]);
    kubectl.ok("rollout status deploy/web --timeout=60s", &["successfully rolled out"]);
    kubectl.ok("get deploy,rs,pods -o wide", &["2/2", "CONTAINERS", "example:v1", "local"]);
    kubectl.ok("get pods -l app=web --field-selector=status.phase=Running -o name", &["pod/web-"]);
    kubectl.ok("get pods -l app=nothing", &["No resources found"]);
    kubectl.ok("get deploy web -o yaml", &["progressDeadlineSeconds: 600", "maxSurge: 25%"]);
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
    kubectl.ok("wait --for=condition=Available deploy/web --timeout=60s", &["condition met"]);
    kubectl.ok("describe deploy/web", &["RollingUpdateStrategy", "ScalingReplicaSet", "MinimumReplicasAvailable"]);
    kubectl.ok("describe node local", &["Capacity:", "Allocatable:", "Non-terminated Pods"]);
    kubectl.ok("logs deploy/web --tail=1", &["hello"]);
    kubectl.ok("explain deploy.spec.strategy", &["RollingUpdate"]);
    kubectl.ok("patch deploy web -p {\"spec\":{\"minReadySeconds\":1}}", &["patched"]);
    kubectl.ok("annotate deploy web example.dev/x=y", &["annotated"]);
    kubectl.ok("apply --server-side --force-conflicts -f web.yaml", &["serverside-applied"]);
    kubectl.ok("get events", &["Scheduled", "SuccessfulCreate"]);
    // These send their bodies in protobuf.
    kubectl.ok("create namespace shop", &["namespace/shop created"]);
    kubectl.ok("create configmap colors --from-literal=sky=blue -n shop", &["configmap/colors created"]);
    kubectl.ok("get configmap colors -n shop -o yaml", &["sky: blue"]);
    kubectl.ok(
        "create job once --image=example --dry-run=server -o yaml",
        &["backoffLimit: 6", "batch.kubernetes.io/job-name"],
    );
    kubectl.ok("auth can-i create deployments", &["yes"]);
    kubectl.ok("delete namespace shop --timeout=60s", &["deleted"]);
    kubectl.refused("apply -f bad.yaml", "unknown field");
    kubectl.refused("get deploy nothing", "deployments.apps \"nothing\" not found");
    kubectl.refused("get nothing", "the server doesn't have a resource type");
    kubectl.ok("delete deploy web --cascade=orphan", &["deleted"]);
    kubectl.ok("get rs,pods", &["replicaset.apps/web-", "pod/web-"]);
    kubectl.ok("delete rs -l app=web --cascade=foreground", &["deleted"]);
    kubectl.ok("get pods", &["No resources found"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_finds_nothing_missing() {
    if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
        eprintln!("kubectl is not installed: this test did not run");
        return;
    }
    let directory = std::env::temp_dir().join(format!("coracle-kubectl-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("web.yaml"), WEB).unwrap();
    let bad = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad, colour: red}\ndato: {}\n";
    std::fs::write(directory.join("bad.yaml"), bad).unwrap();
    let builder = Cluster::builder().serve("127.0.0.1:0".parse().unwrap());
    let cluster = builder.node(Node::new("local", ProcessRuntime::new().unwrap())).start().await.unwrap();
    let kubectl = Kubectl { kubeconfig: directory.join("kubeconfig"), directory: directory.clone() };
    cluster.write_kubeconfig(&kubectl.kubeconfig).unwrap();
    check_private(&kubectl.kubeconfig);
    tokio::task::spawn_blocking(move || tour(&kubectl)).await.unwrap();
    assert_eq!(cluster.shutdown().await.left, 0);
    std::fs::remove_dir_all(directory).unwrap();
}

fn check_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}
