//! The pipeline as its clients see it: requests in, answers out, over the real memory store.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::sync::Arc;

use coracle_api::{Ledger, Pipeline, Settings, admission};
use coracle_core::selector::{FieldSelector, Selector};
use coracle_core::{
    Action, Body, Clock, Effect, Entropy, FieldValidation, Gateway, GroupResource, Kinds, Patch, Request, Response,
    Status, Target,
};
use coracle_store::Memory;
use expect_test::{Expect, expect};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;
use serde_json::{Value, json};

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_767_225_600).unwrap()
    }
}

/// A pipeline with a namespace `a` and a ServiceAccount `default` in it.
async fn pipeline() -> Arc<Pipeline> {
    let ledger = Ledger::open(Arc::new(Memory::default()), Kinds::builtin()).await.unwrap();
    let settings = Settings {
        clock: Arc::new(FixedClock),
        entropy: Arc::new(Entropy::seeded(1)),
        admission: admission::builtin(),
    };
    let pipeline = Arc::new(Pipeline::new(ledger, settings));
    for text in [
        "{apiVersion: v1, kind: Namespace, metadata: {name: a}}",
        "{apiVersion: v1, kind: ServiceAccount, metadata: {name: default, namespace: a}}",
    ] {
        pipeline.execute(create(text)).await.unwrap();
    }
    pipeline
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// The place of an object, from itself: `a` is the namespace of everything namespaced.
fn target(object: &Value) -> Target {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
    let kinds = Kinds::builtin();
    let kind = kinds.by_kind(&text("/apiVersion"), &text("/kind")).unwrap();
    Target {
        resource: GroupResource::new(kind.group.clone(), kind.plural.clone()),
        version: Some(kind.version.clone()),
        namespace: if kind.namespaced { "a".into() } else { "".into() },
        name: text("/metadata/name").into(),
        subresource: "".into(),
    }
}

fn body(text: &str) -> Body {
    Body::Json(yaml(text).to_string().into())
}

fn create(text: &str) -> Request {
    strict(Request::new(target(&yaml(text)), Action::Create(body(text))))
}

fn update(text: &str) -> Request {
    strict(Request::new(target(&yaml(text)), Action::Update(body(text))))
}

fn strict(mut request: Request) -> Request {
    request.options.field_validation = FieldValidation::Strict;
    request
}

fn at(place: &str) -> Target {
    let (resource, name) = place.split_once('/').unwrap();
    let (name, subresource) = name.split_once('/').unwrap_or((name, ""));
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let resource = GroupResource::new(group.to_owned(), resource.to_owned());
    let namespaced = Kinds::builtin().storage(&resource).unwrap().namespaced;
    let namespace = if namespaced { "a" } else { "" };
    Target {
        resource,
        version: None,
        namespace: namespace.into(),
        name: name.to_owned().into(),
        subresource: subresource.to_owned().into(),
    }
}

fn delete(place: &str, options: Value) -> Request {
    let options: DeleteOptions = serde_json::from_value(options).unwrap();
    Request::new(at(place), Action::Delete(options))
}

fn merge(place: &str, patch: Value) -> Request {
    Request::new(at(place), Action::Patch(Patch::Merge(patch.to_string().into())))
}

fn apply(text: &str, manager: &'static str, force: bool) -> Request {
    let object = yaml(text);
    let patch = Patch::Apply { body: object.to_string().into(), force };
    let mut request = Request::new(target(&object), Action::Patch(patch));
    request.options.field_manager = manager.into();
    strict(request)
}

/// What the answers are, one line each, then what is asked of the last object.
async fn check(requests: Vec<Request>, show: &[&str], expected: Expect) {
    let pipeline = pipeline().await;
    let mut text = String::new();
    let mut last = Value::Null;
    for request in requests {
        let answer = pipeline.execute(request).await;
        if let Ok(Response { object: Some(object), .. }) = &answer {
            last = serde_json::from_slice(&object.json()).unwrap();
        }
        describe(&answer, &mut text);
    }
    for pointer in show {
        let found = last.pointer(pointer).map_or("absent".to_owned(), ToString::to_string);
        writeln!(text, "{pointer}: {found}").unwrap();
    }
    expected.assert_eq(&text);
}

fn describe(answer: &Result<Response, Status>, text: &mut String) {
    match answer {
        Ok(response) => {
            let name = response.object.as_ref().map_or("", |object| object.name());
            writeln!(text, "{:?} {name}", response.effect).unwrap();
            response.warnings.iter().for_each(|warning| writeln!(text, "warning: {warning}").unwrap());
        }
        Err(status) => {
            writeln!(text, "{} {}: {}", status.code(), status.reason(), status.message()).unwrap();
            for cause in status.as_api().details.iter().flat_map(|details| details.causes.iter().flatten()) {
                let field = cause.field.as_deref().unwrap_or("");
                writeln!(text, "  {field} {}", cause.reason.as_deref().unwrap_or("")).unwrap();
            }
        }
    }
}

const SETTINGS: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {color: red}}";
const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: i}]}}";
const WEB: &str = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {app: web}}, \
                   template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: i}]}}}}";

#[tokio::test]
async fn create_stamps_and_refuses_what_is_taken() {
    check(
        vec![create(SETTINGS), create(SETTINGS)],
        &["/metadata/namespace", "/metadata/creationTimestamp", "/metadata/resourceVersion", "/data/color"],
        expect![[r#"
            Created settings
            409 AlreadyExists: configmaps "settings" already exists
            /metadata/namespace: "a"
            /metadata/creationTimestamp: "2026-01-01T00:00:00Z"
            /metadata/resourceVersion: "3"
            /data/color: "red"
        "#]],
    )
    .await;
}

#[tokio::test]
async fn names_are_generated() {
    let unnamed = "{apiVersion: v1, kind: ConfigMap, metadata: {generateName: x-}}";
    let pipeline = pipeline().await;
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let name = pipeline.execute(create(unnamed)).await.unwrap().object.unwrap().name().to_owned();
        assert!(name.starts_with("x-") && name.len() == 7, "{name}");
        names.insert(name);
    }
    assert_eq!(names.len(), 20);
}

#[tokio::test]
async fn bodies_are_checked_strictly() {
    check(
        vec![
            create("{apiVersion: v1, kind: ConfigMap, metadata: {name: x, colour: red}, dato: {}}"),
            create("{apiVersion: v1, kind: ConfigMap, metadata: {name: X_Y}}"),
            create("{apiVersion: v1, kind: ConfigMap, metadata: {name: x, resourceVersion: \"5\"}}"),
            create("{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: b}}"),
            create("{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {replicas: many}}"),
            Request::new(at("configmaps/x"), Action::Create(Body::Json("{\"kind\": ".into()))),
            Request::new(at("configmaps/x"), Action::Create(body(WEB))),
        ],
        &[],
        expect![[r#"
            400 BadRequest: ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dato", unknown field "metadata.colour"
            422 Invalid: ConfigMap "X_Y" is invalid: metadata.name: Invalid value: "X_Y": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
              metadata.name FieldValueInvalid
            400 BadRequest: resourceVersion should not be set on objects to be created
            400 BadRequest: the namespace of the provided object does not match the namespace sent on the request
            400 BadRequest: Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32
            400 BadRequest: the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input ({"kind": )
            400 BadRequest: Deployment in version "v1" cannot be handled as a ConfigMap: converting (v1.Deployment) to (core.ConfigMap): unknown conversion
        "#]],
    )
    .await;
}

#[tokio::test]
async fn unknown_fields_warn_by_default() {
    let mut request = create("{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, dato: {}}");
    request.options.field_validation = FieldValidation::Warn;
    check(
        vec![request],
        &["/dato"],
        expect![[r#"
        Created x
        warning: unknown field "dato"
        /dato: absent
    "#]],
    )
    .await;
}

#[tokio::test]
async fn updates_respect_versions_and_change_nothing_needlessly() {
    check(
        vec![
            create(SETTINGS),
            update(SETTINGS),
            update("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, resourceVersion: \"3\"}, data: {color: blue}}"),
            update("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, resourceVersion: \"3\"}, data: {color: green}}"),
            update("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, uid: other}, data: {color: green}}"),
            update("{apiVersion: v1, kind: ConfigMap, metadata: {name: nobody}}"),
        ],
        &["/metadata/resourceVersion", "/data/color"],
        expect![[r#"
            Created settings
            Unchanged settings
            Updated settings
            409 Conflict: Operation cannot be fulfilled on configmaps "settings": the object has been modified; please apply your changes to the latest version and try again
            409 Conflict: Operation cannot be fulfilled on configmaps "settings": Precondition failed: UID in precondition: other, UID in object meta: 97299fca-e720-4345-af47-184b86186fa4
            404 NotFound: configmaps "nobody" not found
            /metadata/resourceVersion: "4"
            /data/color: "blue"
        "#]],
    )
    .await;
}

#[tokio::test]
async fn spec_and_status_are_apart_and_generation_counts_the_spec() {
    let with_status = WEB.replace("spec: {selector", "status: {replicas: 9}, spec: {replicas: 2, selector");
    let mut status = update(&with_status);
    status.target = status.target.below("status");
    check(
        vec![create(&with_status), status, update(WEB)],
        &["/metadata/generation", "/spec/replicas", "/status/replicas"],
        expect![[r#"
            Created web
            Updated web
            Updated web
            /metadata/generation: 2
            /spec/replicas: 1
            /status/replicas: 9
        "#]],
    )
    .await;
}

#[tokio::test]
async fn patches() {
    check(
        vec![
            create(SETTINGS),
            merge("configmaps/settings", json!({"data": {"color": null, "size": "big"}})),
            merge("configmaps/settings", json!({"metadata": {"resourceVersion": "1"}})),
            merge("configmaps/nobody", json!({})),
            Request::new(
                at("configmaps/settings"),
                Action::Patch(Patch::Json("[{\"op\": \"test\", \"path\": \"/data/size\", \"value\": \"small\"}]".into())),
            ),
            Request::new(at("configmaps/settings"), Action::Patch(Patch::Merge("[1]".into()))),
        ],
        &["/data"],
        expect![[r#"
            Created settings
            Updated settings
            409 Conflict: Operation cannot be fulfilled on configmaps "settings": the object has been modified; please apply your changes to the latest version and try again
            404 NotFound: configmaps "nobody" not found
            422 Invalid: testing value /data/size failed: test failed
            400 BadRequest: error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}
            /data: {"size":"big"}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn apply_owns_conflicts_and_gives_up() {
    check(
        vec![
            apply(SETTINGS, "alice", false),
            apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {color: blue}}", "bob", false),
            apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {color: blue}}", "bob", true),
            apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {size: big}}", "alice", false),
            apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}", "bob", false),
            apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {size: big}}", "alice", false),
        ],
        &["/data", "/metadata/managedFields/0/manager"],
        expect![[r#"
            Created settings
            409 Conflict: Apply failed with 1 conflict: conflict with "alice": .data.color
              .data.color FieldManagerConflict
            Updated settings
            Updated settings
            Updated settings
            Unchanged settings
            /data: {"size":"big"}
            /metadata/managedFields/0/manager: "alice"
        "#]],
    )
    .await;
}

#[tokio::test]
async fn deletion_waits_for_finalizers_and_grace() {
    check(
        vec![
            create("{apiVersion: v1, kind: ConfigMap, metadata: {name: held, finalizers: [example.dev/hold]}}"),
            delete("configmaps/held", json!({})),
            merge("configmaps/held", json!({"metadata": {"finalizers": ["example.dev/hold", "example.dev/new"]}})),
            merge("configmaps/held", json!({"metadata": {"finalizers": null}})),
            delete("configmaps/held", json!({})),
            create(POD),
            Request::new(at("pods/p/binding"), Action::Create(Body::Json(json!({"target": {"name": "n1"}}).to_string().into()))),
            Request::new(at("pods/p/binding"), Action::Create(Body::Json(json!({"target": {"name": "n2"}}).to_string().into()))),
            delete("pods/p", json!({"preconditions": {"uid": "other"}})),
            delete("pods/p", json!({})),
            delete("pods/p", json!({"gracePeriodSeconds": 60})),
            delete("pods/p", json!({"gracePeriodSeconds": 0})),
        ],
        &["/spec/nodeName"],
        expect![[r#"
            Created held
            Terminating held
            422 Invalid: ConfigMap "held" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"example.dev/new"}
              metadata.finalizers FieldValueForbidden
            Deleted held
            404 NotFound: configmaps "held" not found
            Created p
            Updated p
            409 Conflict: Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"
            409 Conflict: Operation cannot be fulfilled on pods "p": Precondition failed: UID in precondition: other, UID in object meta: 85fea5c9-0363-4221-bca3-c79508f41507
            Terminating p
            Terminating p
            Deleted p
            /spec/nodeName: "n1"
        "#]],
    )
    .await;
}

#[tokio::test]
async fn propagation_is_written_down_as_finalizers() {
    let job = "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {template: {spec: {restartPolicy: Never, \
               containers: [{name: c, image: i}]}}}}";
    check(
        vec![create(job), delete("jobs.batch/j", json!({}))],
        &["/metadata/finalizers"],
        expect![[r#"
            Created j
            Terminating j
            /metadata/finalizers: ["orphan"]
        "#]],
    )
    .await;
    check(
        vec![create(WEB), delete("deployments.apps/web", json!({"propagationPolicy": "Foreground"}))],
        &["/metadata/finalizers"],
        expect![[r#"
            Created web
            Terminating web
            /metadata/finalizers: ["foregroundDeletion"]
        "#]],
    )
    .await;
    check(
        vec![create(WEB), delete("deployments.apps/web", json!({"propagationPolicy": "Sideways"}))],
        &[],
        expect![[r#"
            Created web
            422 Invalid: DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Sideways": supported values: "Background", "Foreground", "Orphan"
        "#]],
    )
    .await;
}

#[tokio::test]
async fn namespaces_guard_their_content() {
    check(
        vec![
            merge("namespaces/a", json!({"metadata": {"labels": {"x": "y"}}})),
            delete("namespaces/a", json!({})),
            create(SETTINGS),
            merge("namespaces/a/finalize", json!({"spec": {"finalizers": null}})),
            create(SETTINGS),
        ],
        &[],
        expect![[r#"
            Updated a
            Terminating a
            403 Forbidden: configmaps "settings" is forbidden: unable to create new content in namespace a because it is being terminated
              metadata.namespace NamespaceTerminating
            Deleted a
            404 NotFound: namespaces "a" not found
        "#]],
    )
    .await;
}

#[tokio::test]
async fn scale_is_another_view_of_replicas() {
    check(
        vec![
            create(WEB),
            merge("deployments.apps/web/scale", json!({"spec": {"replicas": 4}})),
            merge("deployments.apps/web/scale", json!({"spec": {"replicas": -1}})),
            merge("configmaps/x/scale", json!({})),
        ],
        &["/spec/replicas", "/metadata/generation"],
        expect![[r#"
            Created web
            Updated web
            422 Invalid: Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0
              spec.replicas FieldValueInvalid
            404 NotFound: the server could not find the requested resource
            /spec/replicas: 4
            /metadata/generation: 2
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_dry_run_answers_and_writes_nothing() {
    let pipeline = pipeline().await;
    let before = pipeline.feed().world().revision();
    let answer = pipeline.execute(create(SETTINGS).dry_run()).await.unwrap();
    assert_eq!(answer.effect, Effect::Created);
    assert_eq!(pipeline.feed().world().revision(), before);
}

#[tokio::test]
async fn collections_are_deleted_by_selector() {
    let pipeline = pipeline().await;
    for (name, app) in [("one", "web"), ("two", "web"), ("three", "db")] {
        let text = format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, labels: {{app: {app}}}}}}}");
        pipeline.execute(create(&text)).await.unwrap();
    }
    let action = Action::DeleteCollection {
        options: DeleteOptions::default(),
        labels: Selector::parse("app=web").unwrap(),
        fields: FieldSelector::default(),
    };
    let target = Target { name: "".into(), ..at("configmaps/x") };
    let answer = pipeline.execute(Request::new(target, action)).await.unwrap();
    let names: Vec<_> = answer.objects.iter().map(|object| object.name().to_owned()).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(pipeline.feed().world().count(&GroupResource::new("", "configmaps")), 1);
}

#[tokio::test]
async fn edits_survive_other_writers() {
    let pipeline = pipeline().await;
    pipeline
        .execute(create("{apiVersion: v1, kind: ConfigMap, metadata: {name: count}, data: {n: \"0\"}}"))
        .await
        .unwrap();
    let edits = (0..50).map(|_| {
        pipeline.execute(Request::edit(at("configmaps/count"), |map: &mut k8s_openapi::api::core::v1::ConfigMap| {
            let data = map.data.get_or_insert_default();
            let count: u32 = data["n"].parse().unwrap();
            data.insert("n".to_owned(), (count + 1).to_string());
            Ok(())
        }))
    });
    futures::future::join_all(edits).await.into_iter().for_each(|answer| drop(answer.unwrap()));
    let batch = (0..5).map(|_| merge("configmaps/count", json!({"data": {"last": "yes"}}))).collect();
    pipeline.execute_all(batch).await.into_iter().for_each(|answer| drop(answer.unwrap()));
    let world = pipeline.feed().world();
    let map = world.get::<k8s_openapi::api::core::v1::ConfigMap>("a", "count").unwrap();
    assert_eq!(map.data.as_ref().unwrap()["n"], "50");
}

#[tokio::test]
async fn services_get_addresses_and_ports() {
    let service = |name: &str, rest: &str| {
        create(&format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{ports: [{{port: 80}}] {rest}}}}}"
        ))
    };
    check(
        vec![
            service("one", ", clusterIP: 10.96.3.4"),
            service("two", ", clusterIP: 10.96.3.4"),
            service("three", ", clusterIP: 192.168.0.1"),
            service("four", ", type: NodePort"),
            service("five", ", clusterIP: None"),
        ],
        &["/spec/clusterIP", "/spec/clusterIPs", "/spec/ipFamilyPolicy"],
        expect![[r#"
            Created one
            422 Invalid: Service "two" is invalid: spec.clusterIPs: Invalid value: ["10.96.3.4"]: failed to allocate IP 10.96.3.4: provided IP is already allocated
              spec.clusterIPs FieldValueInvalid
            422 Invalid: Service "three" is invalid: spec.clusterIPs: Invalid value: ["192.168.0.1"]: failed to allocate IP 192.168.0.1: the provided network does not match the current range
              spec.clusterIPs FieldValueInvalid
            Created four
            Created five
            /spec/clusterIP: "None"
            /spec/clusterIPs: ["None"]
            /spec/ipFamilyPolicy: "RequireDualStack"
        "#]],
    )
    .await;
}

#[tokio::test]
async fn two_versions_are_one_object() {
    let v1 = "{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {name: h}, spec: {maxReplicas: 3, \
              scaleTargetRef: {kind: Deployment, name: web}, targetCPUUtilizationPercentage: 50}}";
    check(
        vec![create(v1)],
        &["/apiVersion", "/spec/metrics/0/resource/target/averageUtilization"],
        expect![[r#"
            Created h
            /apiVersion: "autoscaling/v2"
            /spec/metrics/0/resource/target/averageUtilization: 50
        "#]],
    )
    .await;
}
