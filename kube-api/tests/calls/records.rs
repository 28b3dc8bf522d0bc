//! What admission tells beside its decision: in audit records, and to clients whose requests are refused.

use std::sync::{Arc, Mutex};

use coracle_api::audit::{Audit, Policy, Record, Sink};
use coracle_api::auth::StaticTokens;
use coracle_api::http::Caller;
use coracle_core::User;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::cluster::{Cluster, POD, rules};
use crate::hooks::{Hooks, Reply, allow, deny, patch};

#[derive(Default)]
struct Kept(Mutex<Vec<Value>>);

impl Sink for Kept {
    fn record(&self, record: &Record) {
        self.0.lock().unwrap().push(serde_json::to_value(record).unwrap());
    }
}

/// A cluster that records bodies of pods, and of other things only what happened.
async fn recorded() -> (Cluster, Arc<Kept>) {
    const POLICY: &str = "
omitStages: [RequestReceived]
rules: [{level: Request, resources: [{resources: [pods]}]}, {level: Metadata}]
";
    let kept = Arc::new(Kept::default());
    let (policy, sink): (Policy, _) = (serde_saphyr::from_str(POLICY).unwrap(), kept.clone());
    let user = User { name: "jane".to_owned(), groups: vec!["system:masters".to_owned()], ..User::default() };
    let users = StaticTokens([("t".to_owned(), user)].into());
    let change = move |server: coracle_api::http::ApiServer| {
        server.with_authenticator(users).with_audit(Audit::new(policy, sink))
    };
    (Cluster::with(|pipeline| pipeline, change).await, kept)
}

/// Creates something over the network: the code, the warnings, and the annotations of the record.
async fn create(cluster: &Cluster, kept: &Kept, collection: &str, text: &str) -> (u16, Vec<String>, Value) {
    let body = Full::new(text.to_owned().into()).map_err(|never| match never {}).boxed_unsync();
    let request = Request::post(format!("/api/v1/namespaces/default/{collection}"))
        .header("authorization", "Bearer t")
        .header("content-type", "application/yaml");
    let answer = cluster.server.handle(request.body(body).unwrap(), Caller::Remote(None)).await;
    let warnings = answer.headers().get_all("warning").iter().map(|it| it.to_str().unwrap().to_owned()).collect();
    let mut records = std::mem::take(&mut *kept.0.lock().unwrap());
    assert_eq!(records.len(), 1);
    let mut annotations = records.pop().unwrap()["annotations"].take();
    let known = annotations.as_object_mut().unwrap();
    assert_eq!(known.remove("authorization.k8s.io/decision"), Some(json!("allow")));
    known.remove("authorization.k8s.io/reason");
    (answer.status().as_u16(), warnings, annotations)
}

#[tokio::test]
async fn webhooks() {
    let (cluster, kept) = recorded().await;
    let hooks = Hooks::start(|asked| match &asked.path[..4] {
        "/a/0" => Reply::Json(allow(&asked.body, json!({"auditAnnotations": {"mood": "good"}, "warnings": ["mind"]}))),
        "/a/1" => Reply::Json(allow(
            &asked.body,
            patch(json!([{"op": "add", "path": "/metadata/annotations", "value": {"x": "y"}}])),
        )),
        "/z/0" if asked.body["request"]["name"] == "web" => Reply::Json(allow(&asked.body, json!({}))),
        "/z/0" => Reply::Json(deny(&asked.body, json!({"message": "no"}))),
        _ => Reply::Close,
    })
    .await;
    cluster.service().await;
    let mutated = rules("[CREATE]", "", "v1", "[pods, configmaps]");
    let fails_open = format!("{mutated}\nfailurePolicy: Ignore");
    cluster.configure("Mutating", "a", &hooks, &[&mutated, &mutated, &fails_open]).await.good();
    cluster.configure("Validating", "z", &hooks, &[&mutated, &fails_open]).await.good();
    kept.0.lock().unwrap().clear();

    let deed = |index: u8, changed: bool| {
        format!(r#"{{"configuration":"a","webhook":"w{index}.a.test","mutated":{changed}}}"#)
    };
    let patched = r#"{"configuration":"a","webhook":"w1.a.test","patch":[{"op":"add","path":"/metadata/annotations","value":{"x":"y"}}],"patchType":"JSONPatch"}"#;
    let mut told = json!({
        "w0.a.test/mood": "good",
        "mutation.webhook.admission.k8s.io/round_0_index_0": deed(0, false),
        "mutation.webhook.admission.k8s.io/round_0_index_1": deed(1, true),
        "mutation.webhook.admission.k8s.io/round_0_index_2": deed(2, false),
        "failed-open.mutation.webhook.admission.k8s.io/round_0_index_2": "w2.a.test",
        "failed-open.validating.webhook.admission.k8s.io/round_0_index_1": "w1.z.test",
    });
    // A patch shows of the body, and is told only where bodies are.
    let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: m}}";
    let warned = vec!["299 - \"mind\"".to_owned()];
    assert_eq!(create(&cluster, &kept, "configmaps", map).await, (400, warned.clone(), told.clone()));
    told["patch.webhook.admission.k8s.io/round_0_index_1"] = json!(patched);
    assert_eq!(create(&cluster, &kept, "pods", POD).await, (201, warned, told));
}

#[tokio::test]
async fn policies() {
    let (cluster, kept) = recorded().await;
    for text in [
        "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: p.test.io}
spec:
  matchConstraints: {resourceRules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [configmaps]}]}
  validations: [{expression: 'false', message: never}, {expression: 'has(object.data)'}]
  auditAnnotations: [{key: name, valueExpression: object.metadata.name + ''}, {key: none, valueExpression: 'null'}]
",
        "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: b}, \
          spec: {policyName: p.test.io, validationActions: [Warn, Audit]}}",
    ] {
        cluster.create(text).await.good();
    }
    kept.0.lock().unwrap().clear();
    let failure = |message: &str, index: u8| {
        format!(
            r#"{{"message":"{message}","policy":"p.test.io","binding":"b","expressionIndex":{index},"validationActions":["Warn","Audit"]}}"#
        )
    };
    let failures = format!("[{},{}]", failure("never", 0), failure("failed expression: has(object.data)", 1));
    let (code, warnings, told) =
        create(&cluster, &kept, "configmaps", "{apiVersion: v1, kind: ConfigMap, metadata: {name: m}}").await;
    assert_eq!((code, warnings.len()), (201, 2));
    let expected = json!({
        "p.test.io/name": "m",
        "validation.policy.admission.k8s.io/validation_failure": failures,
    });
    assert_eq!(told, expected);
}

#[tokio::test]
async fn pod_security() {
    let (cluster, kept) = recorded().await;
    let labels = r#"{"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/audit": "baseline"}}}"#;
    cluster.ask("PATCH", "/api/v1/namespaces/default", labels).await.good();
    kept.0.lock().unwrap().clear();
    let (code, _, told) = create(&cluster, &kept, "pods", POD).await;
    assert_eq!((code, told), (201, json!({"pod-security.kubernetes.io/enforce-policy": "baseline:latest"})));
    let host = POD.replace("spec: {", "spec: {hostNetwork: true, ").replace("web", "host");
    let (code, _, told) = create(&cluster, &kept, "pods", &host).await;
    let expected = json!({
        "pod-security.kubernetes.io/enforce-policy": "baseline:latest",
        "pod-security.kubernetes.io/audit-violations":
            "would violate PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)",
    });
    assert_eq!((code, told), (403, expected));
}
