//! A ServiceAccount's token in the hands of the real `kubectl`: what a RoleBinding allows, and nothing else. Needs `kubectl` on
//! the PATH; says so if it is missing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use coracle::k8s_openapi::api::core::v1::Pod;
use coracle::node::runtimes::ProcessRuntime;
use coracle::{Cluster, Node};

const SHOP: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: views, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: robot, namespace: shop}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: robot, namespace: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: shows, namespace: shop}
spec:
  serviceAccountName: robot
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: example
    command: [sh, -c, "cat /var/run/secrets/kubernetes.io/serviceaccount/token; echo; sleep 1000"]
---
apiVersion: v1
kind: Pod
metadata: {name: hides, namespace: shop}
spec:
  automountServiceAccountToken: false
  containers: [{name: c, image: example, command: [sleep, "1000"]}]
"#;

struct Kubectl {
    directory: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    fn run(&self, line: &str, succeeds: bool) -> String {
        let output = Command::new("timeout")
            .args(["60", "kubectl"])
            .args(line.split_whitespace())
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", &self.directory)
            .env("HOME", &self.directory)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.success(), succeeds, "kubectl {line}\n{text}");
        text
    }

    fn ok(&self, line: &str, expected: &str) {
        let text = self.run(line, true);
        assert!(text.contains(expected), "kubectl {line}\nlacks {expected:?}\n{text}");
    }

    fn refused(&self, line: &str, expected: &str) {
        let text = self.run(line, false);
        assert!(text.contains(expected), "kubectl {line}\nlacks {expected:?}\n{text}");
    }

    /// The same cluster as the holder of a token.
    fn with_token(&self, token: &str) -> Self {
        let text = self.run("config view --raw -o json", true);
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        config["users"][0]["user"] = serde_json::json!({"token": token});
        let kubeconfig = self.directory.join("robot");
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        Self { directory: self.directory.clone(), kubeconfig }
    }
}

fn tour(owner: &Kubectl) {
    let request = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest"}"#;
    std::fs::write(owner.directory.join("request.json"), request).unwrap();
    let create = "create --raw /api/v1/namespaces/shop/serviceaccounts/robot/token -f request.json";
    let answer: serde_json::Value = serde_json::from_str(&owner.run(create, true)).unwrap();
    let robot = owner.with_token(answer["status"]["token"].as_str().unwrap());
    limits(&robot);
    // Robots have a priority of their own, and are told so.
    owner.ok("wait --for=condition=Dangling=false flowschema/service-accounts --timeout=30s", "condition met");
    let schema = owner.run("get flowschema service-accounts -o jsonpath={.metadata.uid}", true);
    robot.ok("get pods -n shop -v=8", &schema);
    // The token that the pod's container found, as the pod printed it.
    owner.ok("wait --for=condition=Ready pod/shows -n shop --timeout=60s", "condition met");
    let mounted = owner.run("logs shows -n shop", true);
    let pod = owner.with_token(mounted.trim());
    limits(&pod);
    let review = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
    std::fs::write(owner.directory.join("review.json"), review).unwrap();
    let whoami = "create --raw /apis/authentication.k8s.io/v1/selfsubjectreviews -f review.json";
    pod.ok(whoami, "\"authentication.kubernetes.io/pod-name\":[\"shows\"]");
    owner.ok("delete pod shows -n shop --now", "deleted");
    pod.refused("get pods -n shop", "You must be logged in to the server");
    owner.with_token("nonsense").refused("get pods -n shop", "You must be logged in to the server");
}

fn limits(robot: &Kubectl) {
    robot.ok("get pods -n shop", "hides");
    robot.ok("get --raw /openid/v1/jwks", "ES256");
    for (line, why) in [
        ("get secrets -n shop", "cannot list resource \"secrets\" in API group \"\" in the namespace \"shop\""),
        ("get pods -n default", "cannot list resource \"pods\""),
        ("get pods -A", "cannot list resource \"pods\" in API group \"\" at the cluster scope"),
        ("delete pod hides -n shop", "cannot delete resource \"pods\""),
        ("get --raw /metrics", "cannot get path \"/metrics\""),
        ("get pods -n shop --as=system:admin", "cannot impersonate resource \"users\""),
        ("apply -f shop.yaml", "is forbidden"),
    ] {
        robot.refused(line, why);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_worth_what_its_roles_are() {
    if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
        eprintln!("kubectl is not installed: this test did not run");
        return;
    }
    let directory = std::env::temp_dir().join(format!("coracle-kubectl-access-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("shop.yaml"), SHOP).unwrap();
    let builder = Cluster::builder().serve("127.0.0.1:0".parse().unwrap());
    let cluster = builder.node(Node::new("local", ProcessRuntime::new().unwrap())).start().await.unwrap();
    let owner = Kubectl { kubeconfig: directory.join("owner"), directory: directory.clone() };
    cluster.write_kubeconfig(&owner.kubeconfig).unwrap();
    cluster.api().apply_yaml(SHOP).await.unwrap();
    let volumes = |pod: &str| cluster.api().namespaced::<Pod>("shop").get(pod).unwrap().spec.clone().unwrap().volumes;
    assert_eq!((volumes("shows").map(|volumes| volumes.len()), volumes("hides")), (Some(1), None));
    tokio::task::spawn_blocking(move || tour(&owner)).await.unwrap();
    assert_eq!(cluster.shutdown().await.left, 0);
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn a_cluster_that_does_not_serve_mounts_nothing_and_has_no_roles() {
    use coracle::k8s_openapi::api::rbac::v1::ClusterRole;
    let cluster = Cluster::builder().node(Node::simulated()(0)).start().await.unwrap();
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: x}]}}";
    cluster.api().apply_yaml(pod).await.unwrap();
    let pod = cluster.api().namespaced::<Pod>("default").get("a").unwrap();
    assert_eq!(pod.spec.as_ref().unwrap().volumes, None);
    assert_eq!(cluster.api().all::<ClusterRole>().list().len(), 0);
}
