//! A ServiceAccount's token: what a RoleBinding allows, and nothing else.

use std::path::Path;

use coracle::node::runtimes::ProcessRuntime;
use coracle::{Builder, Node};

use super::{Kubectl, with_kubectl};

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
  serviceAccountName: robot
  automountServiceAccountToken: false
  containers: [{name: c, image: example, command: [sleep, "1000"]}]
"#;

impl Kubectl {
    /// The same cluster as the holder of a token.
    fn with_token(&self, token: &str) -> Self {
        let text = self.run("config view --raw -o json", true);
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        config["users"][0]["user"] = serde_json::json!({"token": token});
        let kubeconfig = self.directory.join("robot");
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        Self { kubeconfig, program: self.program.clone(), directory: self.directory.clone() }
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
    owner.ok("wait --for=condition=Dangling=false flowschema/service-accounts --timeout=30s", &["condition met"]);
    let schema = owner.run("get flowschema service-accounts -o jsonpath={.metadata.uid}", true);
    robot.ok("get pods -n shop -v=8", &[&schema]);
    // The token that the pod's container found, as the pod printed it.
    owner.ok("wait --for=condition=Ready pod/shows -n shop --timeout=60s", &["condition met"]);
    let mounted = owner.run("logs shows -n shop", true);
    let pod = owner.with_token(mounted.trim());
    limits(&pod);
    let review = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
    std::fs::write(owner.directory.join("review.json"), review).unwrap();
    let whoami = "create --raw /apis/authentication.k8s.io/v1/selfsubjectreviews -f review.json";
    pod.ok(whoami, &["\"authentication.kubernetes.io/pod-name\":[\"shows\"]"]);
    owner.ok("delete pod shows -n shop --now", &["deleted"]);
    pod.refused("get pods -n shop", "You must be logged in to the server");
    owner.with_token("nonsense").refused("get pods -n shop", "You must be logged in to the server");
}

fn limits(robot: &Kubectl) {
    robot.ok("get pods -n shop", &["hides"]);
    robot.ok("get --raw /openid/v1/jwks", &["ES256"]);
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

/// Only a pod that wants a token gets one.
fn mounts(owner: &Kubectl) {
    let volumes =
        |pod: &str| owner.run(&format!("get pod {pod} -n shop -o jsonpath={{.spec.volumes[*].projected}}"), true);
    assert!(volumes("shows").contains("serviceAccountToken"));
    assert_eq!(volumes("hides"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_worth_what_its_roles_are() {
    let build = |builder: Builder, _: &Path| builder.node(Node::new("local", ProcessRuntime::new().unwrap()));
    with_kubectl(&[("shop.yaml", SHOP)], build, |owner| {
        owner.ok("apply -f shop.yaml", &["pod/shows created"]);
        mounts(owner);
        tour(owner);
    })
    .await;
}
