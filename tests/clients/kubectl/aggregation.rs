//! An aggregated API server and an admission webhook that are functions of the program.

use coracle::api::outbound::InProcess;
use serde_json::{Value, json};

use super::{Kubectl, with_kubectl};

const LAMPS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: lamps}
spec: {ports: [{name: https, port: 443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: lamps-1, labels: {kubernetes.io/service-name: lamps}}
addressType: IPv4
ports: [{name: https, port: 443}]
endpoints: [{addresses: [10.0.0.1]}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.light.example.com}
spec:
  group: light.example.com
  version: v1
  groupPriorityMinimum: 1000
  versionPriority: 15
  insecureSkipTLSVerify: true
  service: {namespace: default, name: lamps}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: policy}
webhooks:
- name: policy.example.com
  clientConfig: {url: "https://policy.example.com/check"}
  sideEffects: None
  admissionReviewVersions: [v1]
  rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [configmaps]}]
"#;

/// An API server with one kind.
fn lamps(path: &str, user: &str) -> Value {
    let resource =
        json!({"name": "lamps", "singularName": "lamp", "namespaced": true, "kind": "Lamp", "verbs": ["get", "list"]});
    let metadata = json!({"name": "kitchen", "namespace": "default", "annotations": {"seen-by": user}});
    let lamp = json!({"kind": "Lamp", "apiVersion": "light.example.com/v1", "metadata": metadata});
    match path {
        "/apis/light.example.com/v1" => json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "light.example.com/v1", "resources": [resource],
        }),
        _ if path.ends_with("/kitchen") => lamp,
        _ => json!({"kind": "LampList", "apiVersion": "light.example.com/v1", "metadata": {}, "items": [lamp]}),
    }
}

/// A webhook that lets nothing named `bad` in.
fn policy(review: &Value) -> Value {
    let request = &review["request"];
    let response = match request["name"] == "bad" {
        true => {
            json!({"uid": request["uid"], "allowed": false, "status": {"message": "bad names are bad", "code": 403}})
        }
        false => json!({"uid": request["uid"], "allowed": true, "warnings": ["names are looked at"]}),
    };
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response})
}

fn answers() -> InProcess {
    let json = |value: Value| {
        std::future::ready(
            http::Response::builder()
                .header("content-type", "application/json")
                .body(value.to_string().into())
                .unwrap(),
        )
    };
    InProcess::default()
        .host("lamps.default.svc", move |request| {
            let user = request.headers()["x-remote-user"].to_str().unwrap();
            json(lamps(request.uri().path(), user))
        })
        .host("policy.example.com", move |request| json(policy(&serde_json::from_slice(request.body()).unwrap())))
}

fn tour(kubectl: &Kubectl) {
    let check = |line: &str, expected: &[&str]| kubectl.ok(line, expected);
    check("apply -f lamps.yaml", &["apiservice.apiregistration.k8s.io/v1.light.example.com created"]);
    check("wait --for=condition=Available apiservice/v1.light.example.com --timeout=30s", &["condition met"]);
    check("get apiservices", &["v1.light.example.com", "default/lamps", "v1.apps", "Local"]);
    check("api-resources --api-group=light.example.com", &["lamps", "Lamp"]);
    check("get --raw /apis/light.example.com/v1/namespaces/default/lamps", &["LampList", "kitchen"]);
    check("get lamps", &["kitchen"]);
    check("get lamp kitchen -o yaml", &["seen-by: kubernetes-admin"]);
    check("get configmap extension-apiserver-authentication -n kube-system -o yaml", &["requestheader-client-ca-file"]);
    check("create configmap good", &["configmap/good created", "Warning: names are looked at"]);
    let denied = "admission webhook \"policy.example.com\" denied the request: bad names are bad";
    kubectl.refused("create configmap bad", denied);
    check("delete service lamps", &["deleted"]);
    check("wait --for=condition=Available=False apiservice/v1.light.example.com --timeout=30s", &["condition met"]);
    kubectl.refused("get --raw /apis/light.example.com/v1/namespaces/default/lamps", "currently unable to handle");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_sees_what_others_serve() {
    with_kubectl(&[("lamps.yaml", LAMPS)], |builder, _| builder.calls(answers()), tour).await;
}
