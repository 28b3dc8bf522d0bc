//! Admission webhooks.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::cluster::{Cluster, POD, rules};
use crate::hooks::{Asked, Hooks, Reply, allow, deny, patch};

fn is_from(asked: &Asked, name: &str) -> bool {
    asked.path.starts_with(&format!("/{name}/"))
}

fn label(asked: &Asked, key: &str) -> Reply {
    let key = format!("/metadata/labels/{key}");
    Reply::Json(allow(&asked.body, patch(json!([{"op": "add", "path": key, "value": "yes"}]))))
}

/// What a review says, without what is drawn by chance.
fn told(asked: &Asked) -> Value {
    let mut review = asked.body.clone();
    for part in ["object", "oldObject"] {
        if let Some(metadata) = review["request"][part]["metadata"].as_object_mut() {
            ["managedFields", "uid", "creationTimestamp", "resourceVersion"]
                .iter()
                .for_each(|name| drop(metadata.remove(*name)));
        }
        if let Some(object) = review["request"][part].as_object_mut() {
            ["spec", "status"].iter().for_each(|name| drop(object.remove(*name)));
        }
    }
    review["request"].as_object_mut().unwrap().remove("uid");
    review["request"].take()
}

#[tokio::test]
async fn mutating_webhooks_change_and_validating_webhooks_see_it() {
    let cluster = Cluster::start().await;
    let hooks = Hooks::start(|asked| match is_from(asked, "b") {
        true => label(asked, "seen"),
        false => Reply::Json(allow(&asked.body, json!({"warnings": ["mind the gap"], "auditAnnotations": {"a": "b"}}))),
    })
    .await;
    cluster.service().await;
    let pods = rules("[CREATE]", "", "v1", "[pods]");
    cluster.configure("Validating", "a", &hooks, &[&pods]).await.good();
    cluster.configure("Mutating", "b", &hooks, &[&pods]).await.good();
    let answer = cluster.create(POD).await;
    assert_eq!(answer.warnings, ["299 - \"mind the gap\""]);
    assert_eq!(answer.good()["metadata"]["labels"], json!({"app": "web", "seen": "yes"}));
    let asked = hooks.take();
    let paths: Vec<&str> = asked.iter().map(|asked| &*asked.path).collect();
    assert_eq!(paths, ["/b/0?timeout=10s", "/a/0?timeout=10s"], "mutating first, whatever the names");
    assert_eq!(asked[1].body["request"]["object"]["metadata"]["labels"]["seen"], "yes");
    assert_eq!(asked[0].headers["content-type"], "application/json");
    let expected = expect![[r#"
        {
          "dryRun": false,
          "kind": {
            "group": "",
            "kind": "Pod",
            "version": "v1"
          },
          "name": "web",
          "namespace": "default",
          "object": {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
              "labels": {
                "app": "web"
              },
              "name": "web",
              "namespace": "default"
            }
          },
          "oldObject": {
            "metadata": null
          },
          "operation": "CREATE",
          "options": {
            "apiVersion": "meta.k8s.io/v1",
            "fieldManager": "test",
            "kind": "CreateOptions"
          },
          "requestKind": {
            "group": "",
            "kind": "Pod",
            "version": "v1"
          },
          "requestResource": {
            "group": "",
            "resource": "pods",
            "version": "v1"
          },
          "resource": {
            "group": "",
            "resource": "pods",
            "version": "v1"
          },
          "userInfo": {
            "groups": [
              "system:masters",
              "system:authenticated"
            ],
            "username": "jane"
          }
        }"#]];
    expected.assert_eq(&serde_json::to_string_pretty(&told(&asked[0])).unwrap());
    assert_eq!((asked[0].body["kind"].as_str(), hooks.connections()), (Some("AdmissionReview"), 1), "one connection");
}

/// Creates a pod while a webhook of this kind answers like this; the answer's code and message.
async fn check(kind: &str, more: &str, answer: fn(&Asked) -> Reply, expected: Expect) {
    let cluster = Cluster::start().await;
    let hooks = Hooks::start(answer).await;
    cluster.service().await;
    let fields = format!("{}\n{more}", rules("[CREATE]", "", "v1", "[pods]"));
    cluster.configure(kind, "h", &hooks, &[&fields]).await.good();
    let answer = cluster.create(POD).await;
    let told = match answer.code {
        201 => "201 created".to_owned(),
        _ => format!("{} {}", answer.code, answer.refused().1),
    };
    let uid = hooks.take().first().and_then(|asked| asked.body["request"]["uid"].as_str().map(str::to_owned));
    let told = uid.map_or_else(|| told.clone(), |uid| told.replace(&uid, "UID"));
    expected.assert_eq(&told.replace(&hooks.address.port().to_string(), "PORT"));
}

#[tokio::test]
async fn refusals() {
    let deny_with = |asked: &Asked| Reply::Json(deny(&asked.body, json!({"message": "no pods today", "code": 403})));
    check(
        "Validating",
        "",
        deny_with,
        expect![[r#"403 admission webhook "w0.h.test" denied the request: no pods today"#]],
    )
    .await;
    check(
        "Mutating",
        "",
        deny_with,
        expect![[r#"403 admission webhook "w0.h.test" denied the request: no pods today"#]],
    )
    .await;
    check(
        "Mutating",
        "failurePolicy: Ignore",
        deny_with,
        expect![[r#"403 admission webhook "w0.h.test" denied the request: no pods today"#]],
    )
    .await;
    let silent = |asked: &Asked| Reply::Json(deny(&asked.body, json!({"code": 200, "status": "Success"})));
    check(
        "Validating",
        "",
        silent,
        expect![[r#"400 admission webhook "w0.h.test" denied the request without explanation"#]],
    )
    .await;
    let reason = |asked: &Asked| Reply::Json(deny(&asked.body, json!({"reason": "Because"})));
    check("Validating", "", reason, expect![[r#"400 admission webhook "w0.h.test" denied the request: Because"#]])
        .await;
}

#[tokio::test]
async fn lies_and_failures() {
    let other = |asked: &Asked| {
        let mut review = allow(&asked.body, json!({}));
        review["response"]["uid"] = "other".into();
        Reply::Json(review)
    };
    check("Validating", "", other, expect![[r#"500 Internal error occurred: failed calling webhook "w0.h.test": received invalid webhook response: expected response.uid="UID", got "other""#]]).await;
    check("Validating", "failurePolicy: Ignore", other, expect!["201 created"]).await;
    let kind = |asked: &Asked| {
        let mut review = allow(&asked.body, json!({}));
        review["kind"] = "Review".into();
        Reply::Json(review)
    };
    check("Validating", "", kind, expect![[r#"500 Internal error occurred: failed calling webhook "w0.h.test": received invalid webhook response: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got admission.k8s.io/v1, Kind=Review"#]]).await;
    let none = |_: &Asked| Reply::Json(json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}));
    check("Mutating", "", none, expect![[r#"500 Internal error occurred: failed calling webhook "w0.h.test": received invalid webhook response: webhook response was absent"#]]).await;
    let untyped = |asked: &Asked| Reply::Json(allow(&asked.body, json!({"patch": "W10="})));
    check("Mutating", "", untyped, expect![[r#"500 Internal error occurred: failed calling webhook "w0.h.test": received invalid webhook response: webhook returned response.patch but not response.patchType"#]]).await;
    let patching = |asked: &Asked| label(asked, "a");
    check("Validating", "", patching, expect![[r#"500 Internal error occurred: failed calling webhook "w0.h.test": received invalid webhook response: validating webhook may not return response.patch"#]]).await;
    let missing = |asked: &Asked| {
        Reply::Json(allow(&asked.body, patch(json!([{"op": "remove", "path": "/metadata/annotations/none"}]))))
    };
    check("Mutating", "failurePolicy: Ignore", missing, expect![[r#"500 Internal error occurred: remove operation does not apply: doc is missing path: "/metadata/annotations/none": missing value"#]]).await;
    let wrong = |asked: &Asked| {
        Reply::Json(allow(&asked.body, patch(json!([{"op": "replace", "path": "/spec/containers", "value": 3}]))))
    };
    check(
        "Mutating",
        "",
        wrong,
        expect!["500 Internal error occurred: invalid type: integer `3`, expected a sequence at line 1 column 213"],
    )
    .await;
    let invalid = |asked: &Asked| {
        Reply::Json(allow(
            &asked.body,
            patch(json!([{"op": "replace", "path": "/spec/containers/0/image", "value": ""}])),
        ))
    };
    check("Mutating", "", invalid, expect![[r#"422 Pod "web" is invalid: spec.containers[0].image: Required value"#]])
        .await;
    check("Validating", "", |_| Reply::Close, expect![[r#"500 Internal error occurred: failed calling webhook "w0.h.test": failed to call webhook: Post "https://hook.default.svc:PORT/h/0?timeout=10s": EOF"#]]).await;
    check("Validating", "", |_| Reply::Raw(503, "busy".to_owned(), None), expect![[r#"500 Internal error occurred: failed calling webhook "w0.h.test": failed to call webhook: the server is currently unable to handle the request"#]]).await;
    check("Validating", "", |_| Reply::Raw(500, "oh no\n".to_owned(), None), expect![[r#"500 Internal error occurred: failed calling webhook "w0.h.test": failed to call webhook: an error on the server ("oh no") has prevented the request from succeeding"#]]).await;
    let redirect = |_: &Asked| Reply::Raw(307, String::new(), Some("https://127.0.0.1:1/elsewhere".to_owned()));
    check("Validating", "", redirect, expect![[r#"500 Internal error occurred: failed calling webhook "w0.h.test": failed to call webhook: the server responded with the status code 307 but did not return more information"#]]).await;
    check("Validating", "", |_| Reply::Flood, expect![[r#"500 Internal error occurred: failed calling webhook "w0.h.test": failed to call webhook: Post "https://hook.default.svc:PORT/h/0?timeout=10s": the response is longer than 33554432 bytes"#]]).await;
    check("Validating", "clientConfig: {service: {namespace: default, name: none}}", |_| Reply::Close, expect![[r#"500 Internal error occurred: failed calling webhook "w0.h.test": failed to call webhook: Post "https://none.default.svc:443/?timeout=10s": service "none" not found"#]]).await;
}

#[tokio::test]
async fn only_the_right_certificate_is_believed() {
    let cluster = Cluster::start().await;
    let hooks = Hooks::start(|asked| Reply::Json(allow(&asked.body, json!({})))).await;
    let other = Hooks::start(|_| Reply::Close).await;
    cluster.service().await;
    let pods = rules("[CREATE]", "", "v1", "[pods]");
    let config = |url: &str, bundle: &str| format!("{pods}\nclientConfig: {{url: '{url}', caBundle: {bundle}}}");
    let port = hooks.address.port();
    let create = async |name: &str, url: String, bundle: String| {
        cluster.configure("Validating", name, &hooks, &[&config(&url, &bundle)]).await.good();
        let answer = cluster.create(&POD.replace("web", name)).await;
        let path = format!("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{name}");
        cluster.ask("DELETE", &path, "").await.good();
        answer
    };
    create("good", format!("https://127.0.0.1:{port}/x"), hooks.bundle()).await.good();
    let forged = create("forged", format!("https://127.0.0.1:{port}/x"), other.bundle()).await.refused().1;
    assert!(forged.contains("invalid peer certificate"), "{forged}");
    let renamed = create("renamed", format!("https://localhost:{port}/x"), hooks.bundle()).await.refused().1;
    assert!(renamed.contains("not valid for name \"localhost\""), "{renamed}");
}

#[tokio::test]
async fn by_name_then_again_if_needed() {
    let cluster = Cluster::start().await;
    let hooks = Hooks::start(|asked| match is_from(asked, "c") {
        true => label(asked, "late"),
        false => Reply::Json(allow(&asked.body, json!({}))),
    })
    .await;
    cluster.service().await;
    let pods = rules("[CREATE]", "", "v1", "[pods]");
    let again = format!("{pods}\nreinvocationPolicy: IfNeeded");
    cluster.configure("Mutating", "c", &hooks, &[&pods]).await.good();
    cluster.configure("Mutating", "b", &hooks, &[&again, &pods]).await.good();
    cluster.configure("Mutating", "d", &hooks, &[&again]).await.good();
    cluster.create(POD).await.good();
    let asked = hooks.take();
    let paths: Vec<&str> = asked.iter().map(|asked| asked.path.split('?').next().unwrap()).collect();
    assert_eq!(paths, ["/b/0", "/b/1", "/c/0", "/d/0", "/b/0"], "c changed what b had seen, and d had not");
    assert_eq!(asked[4].body["request"]["object"]["metadata"]["labels"]["late"], "yes");
}

#[tokio::test]
async fn what_is_asked_about_subresources_deletes_and_connects() {
    let cluster = Cluster::start().await;
    let hooks = Hooks::start(|asked| match asked.body["request"]["subResource"].as_str() {
        Some("scale") => {
            Reply::Json(allow(&asked.body, patch(json!([{"op": "replace", "path": "/spec/replicas", "value": 2}]))))
        }
        Some("exec") => Reply::Json(deny(&asked.body, json!({"message": "no shells", "code": 403}))),
        _ => Reply::Json(allow(&asked.body, json!({}))),
    })
    .await;
    cluster.service().await;
    cluster.create(POD).await.good();
    cluster
        .create(
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {selector: {matchLabels: {a: b}}, \
                 template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}",
        )
        .await
        .good();
    let all = "rules: [{operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*']}]";
    cluster.configure("Mutating", "m", &hooks, &[all]).await.good();
    hooks.take();
    let pod = "/api/v1/namespaces/default/pods/web";
    let scale =
        json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "d"}, "spec": {"replicas": 5}});
    let scaled = cluster.ask("PUT", "/apis/apps/v1/namespaces/default/deployments/d/scale", &scale.to_string()).await;
    assert_eq!(scaled.good()["spec"]["replicas"], 2);
    let binding = json!({"kind": "Binding", "apiVersion": "v1", "metadata": {"name": "web"}, "target": {"name": "n"}});
    cluster.ask("POST", &format!("{pod}/binding"), &binding.to_string()).await.good();
    let exec = cluster.ask("GET", &format!("{pod}/exec?command=ls&command=-l&stdout=true&container=c"), "").await;
    assert_eq!(exec.refused(), (403, "admission webhook \"w0.m.test\" denied the request: no shells".to_owned()));
    cluster.ask("PATCH", &format!("{pod}/status"), r#"{"status": {"phase": "Running"}}"#).await.good();
    let eviction = json!({"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "web"},
                          "deleteOptions": {"gracePeriodSeconds": 0}});
    cluster.ask("POST", &format!("{pod}/eviction"), &eviction.to_string()).await.good();
    cluster.ask("DELETE", "/apis/apps/v1/namespaces/default/deployments/d", "").await.good();
    let summary = |asked: &Asked| {
        let request = &asked.body["request"];
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let (kind, old) = (text(&request["object"]["kind"]), text(&request["oldObject"]["kind"]));
        let resource = format!("{}/{}", text(&request["resource"]["resource"]), text(&request["subResource"]));
        format!(
            "{} {resource} {} {kind} {old} {}",
            text(&request["operation"]),
            text(&request["kind"]["kind"]),
            text(&request["options"]["kind"])
        )
    };
    let asked = hooks.take();
    let told: Vec<String> = asked.iter().map(summary).collect();
    let expected = [
        "UPDATE deployments/scale Scale Scale Scale UpdateOptions",
        "CREATE pods/binding Binding Binding - CreateOptions",
        "CONNECT pods/exec PodExecOptions PodExecOptions - -",
        "UPDATE pods/status Pod Pod Pod UpdateOptions",
        "CREATE pods/eviction Eviction Eviction - CreateOptions",
        "DELETE deployments/- Deployment - Deployment DeleteOptions",
    ];
    assert_eq!(told, expected);
    let wanted = json!({"kind": "PodExecOptions", "apiVersion": "v1", "stdout": true, "container": "c", "command": ["ls", "-l"]});
    assert_eq!(asked[2].body["request"]["object"], wanted);
}

#[tokio::test]
async fn equivalents_selectors_dry_runs_and_exemptions() {
    let cluster = Cluster::start().await;
    let hooks = Hooks::start(|asked| Reply::Json(allow(&asked.body, json!({})))).await;
    cluster.service().await;
    let autoscalers = rules("[CREATE]", "autoscaling", "v2", "[horizontalpodautoscalers]");
    let exact = format!("{autoscalers}\nmatchPolicy: Exact");
    cluster.configure("Validating", "version", &hooks, &[&autoscalers, &exact]).await.good();
    let maps = rules("[CREATE]", "", "v1", "[configmaps]");
    let by_namespace = format!("{maps}\nnamespaceSelector: {{matchLabels: {{team: a}}}}");
    let by_object = format!("{maps}\nobjectSelector: {{matchLabels: {{watched: 'true'}}}}");
    let cluster_scoped = format!(
        "{}\nnamespaceSelector: {{matchLabels: {{team: a}}}}",
        rules("[CREATE]", "", "v1", "[namespaces, nodes]")
    );
    cluster.configure("Validating", "selected", &hooks, &[&by_namespace, &by_object, &cluster_scoped]).await.good();
    let everything = rules("['*']", "admissionregistration.k8s.io", "*", "['*/*']");
    cluster.configure("Validating", "self", &hooks, &[&everything]).await.good();
    let paths = |hooks: &Hooks| {
        hooks.take().iter().map(|asked| asked.path.split('?').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paths(&hooks), [""; 0], "nobody is asked about webhook configurations");
    let autoscaler = "{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {name: a}, \
                      spec: {maxReplicas: 3, scaleTargetRef: {kind: Deployment, name: d, apiVersion: apps/v1}}}";
    cluster.create(autoscaler).await.good();
    let asked = hooks.take();
    assert_eq!(asked.iter().map(|asked| &*asked.path).collect::<Vec<_>>(), ["/version/0?timeout=10s"]);
    let request = &asked[0].body["request"];
    assert_eq!(
        (&request["object"]["apiVersion"], &request["requestKind"]["version"]),
        (&json!("autoscaling/v2"), &json!("v1"))
    );
    let map = |namespace: &str, name: &str, labels: &str| {
        format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{namespace: {namespace}, name: {name}, labels: {{{labels}}}}}}}"
        )
    };
    cluster.create(&map("default", "a", "")).await.good();
    assert_eq!(paths(&hooks), ["/selected/0"]);
    cluster.create(&map("other", "a", "watched: 'true'")).await.good();
    assert_eq!(paths(&hooks), ["/selected/1"]);
    cluster.create("{apiVersion: v1, kind: Namespace, metadata: {name: c, labels: {team: a}}}").await.good();
    cluster.create("{apiVersion: v1, kind: Namespace, metadata: {name: d}}").await.good();
    cluster.create("{apiVersion: v1, kind: Node, metadata: {name: node-1}}").await.good();
    assert_eq!(paths(&hooks), ["/selected/2", "/selected/2"], "a namespace by its labels, a node always");
    let dry = cluster.ask("POST", "/api/v1/namespaces/default/configmaps?dryRun=All", &map("default", "b", "")).await;
    dry.good();
    let asked = hooks.take();
    let request = &asked[0].body["request"];
    assert_eq!((&request["dryRun"], &request["options"]["dryRun"]), (&json!(true), &json!(["All"])));
}

#[tokio::test]
async fn bad_configurations_are_refused() {
    let cluster = Cluster::start().await;
    let hooks = Hooks::start(|_| Reply::Close).await;
    let bad = "name: short\nsideEffects: Some\ntimeoutSeconds: 31\nadmissionReviewVersions: [v2]\nmatchPolicy: Near\n\
               clientConfig: {url: 'http://a/b?c'}\n\
               rules: [{operations: [CREATE, '*'], apiGroups: [''], apiVersions: [v1], resources: ['pods/*', 'pods/log'], scope: All}]";
    let (code, message) = cluster.configure("Validating", "bad", &hooks, &[bad]).await.refused();
    let expected = expect![[r#"
        ValidatingWebhookConfiguration.admissionregistration.k8s.io "bad" is invalid: [webhooks[0].name: Invalid value: "short": should be a domain with at least three segments separated by dots,
        webhooks[0].rules[0].operations: Invalid value: ["CREATE","*"]: if '*' is present, must not specify other operations,
        webhooks[0].rules[0].resources[1]: Invalid value: "pods/log": if 'pods/*' is present, must not specify pods/log,
        webhooks[0].rules[0].scope: Unsupported value: "All": supported values: "*", "Cluster", "Namespaced",
        webhooks[0].matchPolicy: Unsupported value: "Near": supported values: "Equivalent", "Exact",
        webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun",
        webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds,
        webhooks[0].clientConfig.url: Invalid value: "http": 'https' is the only allowed URL scheme; desired format: https://host[/path],
        webhooks[0].clientConfig.url: Invalid value: "c": query parameters are not permitted in the URL,
        webhooks[0].admissionReviewVersions: Invalid value: ["v2"]: must include at least one of v1, v1beta1]"#]];
    expected.assert_eq(&message.replace(", webhooks", ",\nwebhooks"));
    assert_eq!(code, 422);
}

#[tokio::test]
async fn match_conditions() {
    let refuse = |asked: &Asked| Reply::Json(deny(&asked.body, json!({"message": "called"})));
    let called = r#"400 admission webhook "w0.h.test" denied the request: called"#;
    for (conditions, policy, expected) in [
        ("[{name: a, expression: \"object.metadata.name == 'web'\"}]", "Fail", called),
        ("[{name: a, expression: \"object.metadata.name != 'web'\"}]", "Fail", "201 created"),
        ("[{name: a, expression: \"request.operation == 'CREATE' && oldObject == null\"}]", "Fail", called),
        ("[{name: a, expression: \"authorizer.group('').resource('pods').check('get').allowed()\"}]", "Fail", called),
        ("[{name: a, expression: 'object.none == 1'}, {name: b, expression: 'false'}]", "Fail", "201 created"),
        ("[{name: a, expression: 'object.none == 1'}]", "Ignore", "201 created"),
        (
            "[{name: a, expression: 'object.none == 1'}]",
            "Fail",
            "403 pods \"web\" is forbidden: expression 'object.none == 1' resulted in error: no such key: none",
        ),
    ] {
        for kind in ["Validating", "Mutating"] {
            let more = format!("failurePolicy: {policy}\nmatchConditions: {conditions}");
            let expected = Expect { data: expected, ..expect![""] };
            check(kind, &more, refuse, expected).await;
        }
    }
}
