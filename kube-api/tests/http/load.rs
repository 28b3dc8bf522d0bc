//! What the server says of its load, and when it turns requests away.

use std::sync::Arc;

use coracle_api::http::Caller;
use coracle_api::http::body::RequestBody;
use coracle_api::http::in_flight::InFlight;
use coracle_core::User;
use coracle_store::Memory;
use http_body_util::{BodyExt as _, Empty};
use serde_json::json;

use crate::harness::{Answer, CONFIG_MAPS, Cluster, read};

/// Asks as a user of these groups.
async fn ask_as(cluster: &Cluster, groups: &[&str], target: &str) -> http::Response<coracle_api::http::body::Body> {
    let body: RequestBody = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    let user = Arc::new(User { name: "someone".to_owned(), groups, ..User::default() });
    cluster.server.handle(http::Request::get(target).body(body).unwrap(), Caller::Known(user)).await
}

#[tokio::test]
async fn beyond_plain_limits_clients_are_told_to_come_back() {
    let limits = InFlight { reads_max: 1, writes_max: 1 };
    let cluster = Cluster::with(Arc::new(Memory::default()), |server| server.without_fairness(limits)).await;
    for name in ["a", "b"] {
        let data = json!({"text": "x".repeat(100 << 10)});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
        cluster.post(CONFIG_MAPS, &map).await;
    }
    // A large answer has its place until it was read.
    let large = cluster.send("GET", CONFIG_MAPS, &[], "").await;
    let refused = read(ask_as(&cluster, &[], "/version").await).await;
    assert_eq!((refused.code, &*refused.headers["retry-after"]), (429, "1"));
    assert_eq!(refused.body, "Too many requests, please try again later.\n");
    let masters = read(ask_as(&cluster, &["system:masters"], "/version").await).await;
    assert_eq!(masters.code, 200, "the powerful are always answered");
    assert_eq!(cluster.ask("DELETE", &format!("{CONFIG_MAPS}/a"), &[], "").await.code, 200, "writes have their own");
    let watch = cluster.send("GET", &format!("{CONFIG_MAPS}?watch=true"), &[], "").await;
    assert_eq!(watch.status(), 200, "watches need no place");
    read(large).await;
    assert_eq!(ask_as(&cluster, &[], "/version").await.status(), 403, "there is a place, but nobody gave them a role");
}

async fn numbers(cluster: &Cluster) -> String {
    let Answer { code, headers, body } = cluster.get("/metrics").await;
    assert_eq!((code, &*headers["content-type"]), (200, "text/plain; version=0.0.4; charset=utf-8"));
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn metrics_have_upstream_s_names() {
    let cluster = Cluster::start().await;
    cluster.config_map("a", &[]).await;
    cluster.get(CONFIG_MAPS).await;
    cluster.get("/api/v1/configmaps/").await;
    cluster.get(&format!("{CONFIG_MAPS}/none")).await;
    cluster.get("/apis/nobody.knows/v1/this").await;
    cluster.get("/readyz").await;
    let watch = cluster.send("GET", "/api/v1/configmaps?watch=true", &[], "").await;
    let text = numbers(&cluster).await;
    let maps = |scope, verb| {
        format!(r#"group="",resource="configmaps",scope="{scope}",subresource="",verb="{verb}",version="v1"}}"#)
    };
    for (code, scope, verb, count) in [
        (201, "resource", "POST", 1),
        (200, "namespace", "LIST", 1),
        (200, "cluster", "LIST", 1),
        (404, "resource", "GET", 1),
        (200, "cluster", "WATCH", 1),
    ] {
        let line = format!(
            "apiserver_request_total{{code=\"{code}\",component=\"apiserver\",dry_run=\"\",{} {count}\n",
            maps(scope, verb)
        );
        assert!(text.contains(&line), "lacks {line}{text}");
    }
    let timed = format!(
        "apiserver_request_duration_seconds_count{{component=\"apiserver\",dry_run=\"\",{} 1\n",
        maps("cluster", "LIST")
    );
    assert!(text.contains(&timed), "lacks {timed}{text}");
    let going_on = format!("apiserver_longrunning_requests{{component=\"apiserver\",{}", maps("cluster", "WATCH"));
    assert!(text.contains(&format!("{going_on} 1\n")), "{text}");
    assert!(text.contains(r#"subresource="/readyz",verb="GET",version=""} 1"#), "{text}");
    // This one, and the watch, which nobody has read yet.
    assert!(text.contains("apiserver_current_inflight_requests{request_kind=\"readOnly\"} 2\n"), "{text}");
    assert!(!text.contains("nobody.knows"), "what is unknown becomes no label");
    drop(watch);
    assert!(numbers(&cluster).await.contains(&format!("{going_on} 0\n")));
}
