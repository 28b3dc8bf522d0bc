//! Codes and words of what is refused, and the form of what is not.

use serde_json::{Value, json};

use crate::harness::{CONFIG_MAPS, Cluster, pod};

/// `expected`: code, reason, message.
async fn check(
    cluster: &Cluster,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
    expected: (u16, &str, &str),
) {
    let answer = cluster.ask(method, target, headers, body).await;
    let status = answer.json();
    assert_eq!(status["kind"], "Status", "{method} {target}: {status}");
    assert_eq!(status["code"], answer.code);
    let told = (answer.code, status["reason"].as_str().unwrap(), status["message"].as_str().unwrap());
    assert_eq!(told, expected, "{method} {target}");
    assert_eq!(answer.headers["content-type"], "application/json");
}

#[tokio::test]
async fn paths_and_verbs() {
    let cluster = Cluster::start().await;
    let nowhere = (404, "NotFound", "the server could not find the requested resource");
    let not_so = (405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
    for path in [
        "/nope",
        "/api/v2",
        "/apis/nope",
        "/apis/apps/v9/deployments",
        "/api/v1/nopes",
        "/api/v1/pods/web",
        "/api/v1/namespaces/default/nodes",
        "/api/v1/namespaces/default/pods/web/nope",
        "/openapi/v3",
        "/healthz/nope",
    ] {
        check(&cluster, "GET", path, &[], "", nowhere).await;
    }
    check(&cluster, "POST", "/api/v1/pods", &[], "{}", not_so).await;
    check(&cluster, "DELETE", "/api/v1/configmaps", &[], "", not_so).await;
    check(&cluster, "DELETE", "/api/v1/namespaces", &[], "", not_so).await;
    check(&cluster, "OPTIONS", "/api/v1/nodes", &[], "", not_so).await;
    check(&cluster, "POST", "/healthz", &[], "", not_so).await;
    check(
        &cluster,
        "GET",
        "/apis/apps/v1/namespaces/x/deployments/web",
        &[],
        "",
        (404, "NotFound", "deployments.apps \"web\" not found"),
    )
    .await;
}

#[tokio::test]
async fn parameters_and_bodies() {
    let cluster = Cluster::start().await;
    let json = [("content-type", "application/json")];
    let bad = |message| (400, "BadRequest", message);
    let list = |query: &str| format!("{CONFIG_MAPS}?{query}");
    let limit = bad("strconv.ParseInt: parsing \"x\": invalid syntax");
    check(&cluster, "GET", &list("limit=x"), &[], "", limit).await;
    let field = bad("field label not supported: spec.nope");
    check(&cluster, "GET", &list("fieldSelector=spec.nope%3D1"), &[], "", field).await;
    let field = bad("\"spec.nope\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"");
    check(&cluster, "GET", "/apis/apps/v1/deployments?fieldSelector=spec.nope%3D1", &[], "", field).await;
    check(
        &cluster,
        "GET",
        &list("resourceVersion=99"),
        &[],
        "",
        (504, "Timeout", "Timeout: Too large resource version: 99, current: 0"),
    )
    .await;
    check(
        &cluster,
        "GET",
        CONFIG_MAPS,
        &[("accept", "application/cbor")],
        "",
        (
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json, application/yaml, \
             application/vnd.kubernetes.protobuf",
        ),
    )
    .await;
    check(
        &cluster,
        "POST",
        CONFIG_MAPS,
        &[("content-type", "application/cbor")],
        "k8s",
        (
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json, \
             application/yaml, application/vnd.kubernetes.protobuf",
        ),
    )
    .await;
    check(
        &cluster,
        "PATCH",
        &format!("{CONFIG_MAPS}/a"),
        &[("content-type", "application/apply-patch+yaml")],
        "{}",
        (
            422,
            "Invalid",
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
        ),
    )
    .await;
    let large = "x".repeat((3 << 20) + 1);
    let too_large = (413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728");
    check(&cluster, "POST", CONFIG_MAPS, &json, &large, too_large).await;
    let timeout = bad("invalid timeout specified in the request URL - time: invalid duration \"1x\"");
    check(&cluster, "GET", &list("timeout=1x"), &[], "", timeout).await;
}

#[tokio::test]
async fn every_field_of_a_table_works_and_selects() {
    let cluster = Cluster::start().await;
    for (name, node) in [("a", "n1"), ("b", "n2"), ("c", "n1")] {
        cluster.post("/api/v1/namespaces/default/pods", &pod(name, node)).await;
    }
    for (selector, expected) in [
        ("spec.nodeName=n1", vec!["a", "c"]),
        ("spec.nodeName!=n1", vec!["b"]),
        ("metadata.name=b", vec!["b"]),
        ("metadata.name=b,spec.nodeName=n1", vec![]),
        ("status.phase=Pending", vec!["a", "b", "c"]),
        ("spec.hostNetwork=true", vec![]),
        ("metadata.namespace=default,metadata.name=c", vec!["c"]),
        ("metadata.namespace=other", vec![]),
    ] {
        let query = selector.replace('=', "%3D").replace(',', "%2C");
        let answer = cluster.get(&format!("/api/v1/pods?fieldSelector={query}")).await;
        assert_eq!(answer.names(), expected, "{selector}");
    }
}

#[tokio::test]
async fn yaml_in_and_out() {
    let cluster = Cluster::start().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: v\n";
    let created = cluster.ask("POST", CONFIG_MAPS, &[("content-type", "application/yaml")], yaml).await;
    assert_eq!(created.code, 201);
    let read = cluster.ask("GET", &format!("{CONFIG_MAPS}/a"), &[("accept", "application/yaml")], "").await;
    assert_eq!(read.headers["content-type"], "application/yaml");
    assert!(String::from_utf8_lossy(&read.body).contains("k: v"), "{:?}", read.body);
    let watch = cluster.ask("GET", &format!("{CONFIG_MAPS}?watch=1"), &[("accept", "application/yaml")], "").await;
    assert_eq!(watch.code, 406);
}

#[tokio::test]
async fn what_a_write_is_answered_with() {
    let cluster = Cluster::start().await;
    let pods = "/api/v1/namespaces/default/pods";
    cluster.config_map("a", &[]).await;
    let gone = cluster.ask("DELETE", &format!("{CONFIG_MAPS}/a"), &[], "").await.json();
    assert_eq!((&gone["kind"], &gone["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!((&gone["details"]["name"], &gone["details"]["kind"]), (&json!("a"), &json!("configmaps")));
    cluster.post(pods, &pod("web", "")).await;
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "web"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "n1"},
    });
    let bound = cluster.post(&format!("{pods}/web/binding"), &binding).await;
    assert_eq!((&bound["kind"], &bound["status"]), (&json!("Status"), &json!("Success")));
    let warned = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "w"}, "nope": 1}).to_string();
    let warned = cluster.ask("POST", CONFIG_MAPS, &[("content-type", "application/json")], &warned).await;
    assert_eq!(warned.headers["warning"], "299 - \"unknown field \\\"nope\\\"\"");
    let deleted = cluster.ask("DELETE", &format!("{pods}/web?gracePeriodSeconds=0"), &[], "").await.json();
    assert_eq!(deleted["kind"], "Pod");
}

#[tokio::test]
async fn kinds_that_are_going_away_warn() {
    let cluster = Cluster::start().await;
    let list = cluster.get("/api/v1/endpoints").await;
    assert_eq!(
        list.headers["warning"],
        "299 - \"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\""
    );
}

#[tokio::test]
async fn scale() {
    let cluster = Cluster::start().await;
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "nginx"}]},
            },
        },
    });
    cluster.post(path, &deployment).await;
    let scale = cluster.get(&format!("{path}/web/scale")).await.json();
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(2)));
    assert_eq!(scale["status"]["selector"], "app=web");
    let merge = [("content-type", "application/merge-patch+json")];
    let scaled = cluster.ask("PATCH", &format!("{path}/web/scale"), &merge, r#"{"spec":{"replicas":5}}"#).await.json();
    assert_eq!((&scaled["kind"], &scaled["spec"]["replicas"]), (&json!("Scale"), &json!(5)));
    assert_eq!(cluster.get(&format!("{path}/web")).await.json()["spec"]["replicas"], 5);
}

#[tokio::test]
async fn health_version_and_discovery() {
    let cluster = Cluster::start().await;
    for path in ["/healthz", "/livez", "/readyz", "/readyz/ping"] {
        assert_eq!(&cluster.get(path).await.body[..], b"ok", "{path}");
    }
    let verbose = cluster.get("/readyz?verbose").await;
    assert_eq!(&verbose.body[..], b"[+]ping ok\n[+]shutdown ok\nreadyz check passed\n");
    cluster.server.begin_shutdown();
    assert_eq!(cluster.get("/readyz").await.code, 500);
    assert_eq!(cluster.get("/livez").await.code, 200);
    assert_eq!(cluster.get("/version").await.json()["minor"], "36");
    assert_eq!(cluster.get("/api").await.json()["versions"], json!(["v1"]));
    let groups = cluster.get("/apis").await.json();
    assert_eq!(
        (&groups["groups"][0]["name"], &groups["groups"][1]["name"]),
        (&json!("apiregistration.k8s.io"), &json!("apps"))
    );
    let accept = [("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json")];
    let all = cluster.ask("GET", "/apis", &accept, "").await;
    let value: Value = all.json();
    assert_eq!(value["kind"], "APIGroupDiscoveryList");
    assert!(all.headers["content-type"].contains("as=APIGroupDiscoveryList"));
    let again = cluster.ask("GET", "/apis", &[accept[0], ("if-none-match", &all.headers["etag"])], "").await;
    assert_eq!((again.code, again.body.len()), (304, 0));
}
