//! Priority and fairness: who waits, who is refused, and what is told of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use coracle_api::auth::{Authorizer, Decision, StaticTokens};
use coracle_api::fairness::{Fairness, keep};
use coracle_api::http::body::{Body, RequestBody};
use coracle_api::http::query::Query;
use coracle_api::http::serve::{Limits, serve};
use coracle_api::http::{ApiServer, Caller, OpenApi};
use coracle_core::rbac::Access;
use coracle_core::{GroupResource, User};
use coracle_store::Memory;
use futures::StreamExt as _;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::flowcontrol::v1::FlowSchema;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::harness::{Answer, CONFIG_MAPS, Cluster, read};

const FLOW_CONTROL: &str = "/apis/flowcontrol.apiserver.k8s.io/v1";

/// Everybody may do everything.
struct Anything;

#[async_trait]
impl Authorizer for Anything {
    async fn authorize(&self, _user: &User, _access: &Access<'_>) -> Decision {
        Decision::Allow(String::new())
    }
}

/// A cluster with so many seats and a task that keeps its objects.
async fn cluster(seats: usize, change: impl FnOnce(ApiServer) -> ApiServer) -> Cluster {
    let fairness = Arc::new(Fairness::new(seats));
    let own = fairness.clone();
    let made = |server: ApiServer| change(server.with_authorizer(Anything).with_fairness(own));
    let cluster = Cluster::with(Arc::new(Memory::default()), made).await;
    tokio::spawn(keep::run(cluster.gateway.clone(), fairness, true));
    settled(&cluster, "catch-all", "False").await;
    cluster
}

/// Waits until it is known whether a schema's level is there: then requests are judged by both.
async fn settled(cluster: &Cluster, schema: &str, dangling: &str) {
    let (mut world, mut changes) = cluster.gateway.feed().follow(Some(&GroupResource::of::<FlowSchema>()));
    let is_settled = |schema: &FlowSchema| {
        let conditions = schema.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions
            .into_iter()
            .any(|one| one.type_.as_deref() == Some("Dangling") && one.status.as_deref() == Some(dangling))
    };
    while !world.get::<FlowSchema>("", schema).is_some_and(|schema| is_settled(&schema)) {
        changes.next(usize::MAX).await.unwrap();
        world = cluster.gateway.feed().world();
    }
}

/// A level that has exactly the seats of its shares, and the schema of some users' requests.
async fn level(cluster: &Cluster, name: &str, response: Value, users: &[&str]) -> (String, String) {
    let limited = json!({"nominalConcurrencyShares": 1, "borrowingLimitPercent": 0, "limitResponse": response});
    let level = json!({"metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}});
    let level = cluster.post(&format!("{FLOW_CONTROL}/prioritylevelconfigurations"), &level).await;
    let schema = cluster.post(&format!("{FLOW_CONTROL}/flowschemas"), &schema(name, users)).await;
    settled(cluster, name, "False").await;
    let uid = |object: &Value| object["metadata"]["uid"].as_str().unwrap().to_owned();
    (uid(&schema), uid(&level))
}

fn schema(name: &str, users: &[&str]) -> Value {
    let subjects: Vec<_> = users.iter().map(|user| json!({"kind": "User", "user": {"name": user}})).collect();
    let resources =
        json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true}]);
    let paths = json!([{"verbs": ["*"], "nonResourceURLs": ["*"]}]);
    json!({"metadata": {"name": name}, "spec": {
        "matchingPrecedence": 500, "distinguisherMethod": {"type": "ByUser"},
        "priorityLevelConfiguration": {"name": name},
        "rules": [{"subjects": subjects, "resourceRules": resources, "nonResourceRules": paths}],
    }})
}

fn queues(length: u32) -> Value {
    json!({"type": "Queue", "queuing": {"queues": 64, "handSize": 1, "queueLengthLimit": length}})
}

fn known(name: &str) -> User {
    let group = if name == "root" { "system:masters" } else { "people" };
    User { name: name.to_owned(), groups: vec![group.to_owned()], ..User::default() }
}

async fn ask_as(cluster: &Cluster, user: &str, target: &str) -> Response<Body> {
    let body: RequestBody = Empty::new().map_err(|never| match never {}).boxed_unsync();
    cluster.server.handle(Request::get(target).body(body).unwrap(), Caller::Known(Arc::new(known(user)))).await
}

/// A number of a level in `/metrics`.
fn number(page: &str, name: &str, level: &str) -> f64 {
    let is_it = |line: &&str| {
        line.starts_with(&format!("apiserver_flowcontrol_{name}{{"))
            && line.contains(&format!("priority_level=\"{level}\""))
    };
    page.lines().filter(is_it).map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

async fn number_now(cluster: &Cluster, name: &str, level: &str) -> f64 {
    let page = cluster.get("/metrics").await.body;
    number(std::str::from_utf8(&page).unwrap(), name, level)
}

#[tokio::test]
async fn every_server_has_upstream_s_objects_and_keeps_them() {
    let cluster = cluster(600, |server| server).await;
    let get = |path: &str| format!("{FLOW_CONTROL}/{path}");
    let levels = cluster.get(&get("prioritylevelconfigurations")).await.names();
    let expected = [
        "catch-all",
        "exempt",
        "global-default",
        "leader-election",
        "node-high",
        "system",
        "workload-high",
        "workload-low",
    ];
    assert_eq!(levels, expected);
    assert_eq!(cluster.get(&get("flowschemas")).await.names().len(), 11);
    assert_eq!(number_now(&cluster, "nominal_limit_seats", "workload-low").await, 245.0);
    // What is taken away comes back, what is spoilt is mended, what the operator wants stays.
    let mut watched = cluster.gateway.feed().follow(Some(&GroupResource::of::<FlowSchema>())).1;
    assert_eq!(cluster.ask("DELETE", &get("flowschemas/probes"), &[], "").await.code, 200);
    while cluster.get(&get("flowschemas/probes")).await.code != 200 {
        watched.next(usize::MAX).await.unwrap();
    }
    let patch = |precedence: i32, keep: &'static str| {
        let annotations = json!({"apf.kubernetes.io/autoupdate-spec": keep});
        json!({"metadata": {"annotations": annotations}, "spec": {"matchingPrecedence": precedence}}).to_string()
    };
    let merge = [("content-type", "application/merge-patch+json")];
    let precedence = |answer: Answer| answer.json()["spec"]["matchingPrecedence"].clone();
    assert_eq!(cluster.ask("PATCH", &get("flowschemas/probes"), &merge, patch(7, "false")).await.code, 200);
    assert_eq!(cluster.ask("PATCH", &get("flowschemas/system-nodes"), &merge, patch(7, "true")).await.code, 200);
    while precedence(cluster.get(&get("flowschemas/system-nodes")).await) != 500 {
        watched.next(usize::MAX).await.unwrap();
    }
    assert_eq!(precedence(cluster.get(&get("flowschemas/probes")).await), 7);
}

#[tokio::test]
async fn a_schema_without_its_level_is_not_used_and_says_so() {
    let cluster = cluster(600, |server| server).await;
    cluster.post(&format!("{FLOW_CONTROL}/flowschemas"), &schema("lost", &["someone"])).await;
    settled(&cluster, "lost", "True").await;
    let fallback = cluster.get(&format!("{FLOW_CONTROL}/flowschemas/global-default")).await.json();
    let answer = read(ask_as(&cluster, "someone", "/version").await).await;
    assert_eq!(answer.headers["x-kubernetes-pf-flowschema-uid"], fallback["metadata"]["uid"].as_str().unwrap());
    let (schema, level) = level(&cluster, "found", queues(1), &["another"]).await;
    let answer = read(ask_as(&cluster, "another", "/api/v1/namespaces/default/pods/none").await).await;
    let marks = ["x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"];
    assert_eq!((answer.code, marks.map(|mark| &*answer.headers[mark])), (404, [&*schema, &*level]));
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_told_to_come_back() {
    let cluster = cluster(600, |server| server).await;
    level(&cluster, "tight", queues(9), &["noisy", "quiet"]).await;
    for index in 0..3 {
        cluster.config_map(&format!("map-{index}"), &[]).await;
    }
    let nominal = number_now(&cluster, "nominal_limit_seats", "tight").await;
    let mut held = Vec::new();
    for _ in 0..nominal as usize {
        // A watch has its seat until it was told what is there.
        held.push(ask_as(&cluster, "noisy", &format!("{CONFIG_MAPS}?watch=true")).await);
    }
    let check = |target: &'static str, seconds: u64| {
        let cluster = &cluster;
        async move {
            let began = Instant::now();
            let refused = read(ask_as(cluster, "quiet", target).await).await;
            assert_eq!((refused.code, &*refused.headers["retry-after"]), (429, "1"), "{target}");
            assert_eq!(refused.body, "Too many requests, please try again later.\n");
            assert_eq!(began.elapsed().as_secs(), seconds, "{target}");
        }
    };
    check("/version", 15).await;
    check("/version?timeout=8s", 2).await;
    check("/api/v1/pods?watch=true", 15).await;
    assert_eq!(number_now(&cluster, "rejected_requests_total", "tight").await, 3.0);
    assert_eq!(number_now(&cluster, "current_executing_seats", "tight").await, nominal);
    let waiting = tokio::time::timeout(Duration::from_secs(1), ask_as(&cluster, "quiet", "/version"));
    assert!(waiting.await.is_err(), "a client that goes away leaves the queue");
    assert_eq!(number_now(&cluster, "current_inqueue_requests", "tight").await, 0.0);
    let Body::Stream(mut lines) = held.pop().unwrap().into_body() else { panic!("a watch is a stream") };
    for _ in 0..3 {
        lines.next().await.unwrap().unwrap();
    }
    assert!(futures::poll!(lines.next()).is_pending());
    assert_eq!(ask_as(&cluster, "quiet", "/version").await.status(), 200, "the watch goes on without its seat");
}

#[tokio::test(start_paused = true)]
async fn busy_levels_borrow_from_idle_ones() {
    let cluster = cluster(60, |server| server).await;
    let limit = number_now(&cluster, "current_limit_seats", "global-default").await;
    let mut held = Vec::new();
    let crowd = |name: String| User { groups: vec!["system:authenticated".to_owned()], ..known(&name) };
    for index in 0..=limit as usize {
        let user = Caller::Known(Arc::new(crowd(format!("user-{index}"))));
        let target = format!("{CONFIG_MAPS}?watch=true");
        held.push(cluster.send_as(user, "GET", &target, &[], "").await);
    }
    // The last one had to wait until its level had borrowed a seat, which takes less time than it has.
    assert!(held.iter().all(|answer| answer.status() == 200));
    assert!(number_now(&cluster, "current_limit_seats", "global-default").await > limit);
}

/// Documents that take as long as the test likes.
struct Slow {
    asked: mpsc::UnboundedSender<String>,
    gate: Arc<Semaphore>,
}

#[async_trait]
impl OpenApi for Slow {
    async fn answer(&self, _path: &str, _query: &Query, headers: &HeaderMap) -> Option<Response<Body>> {
        let who = headers.get("authorization")?.to_str().ok()?;
        self.asked.send(who.trim_start_matches("Bearer ").to_owned()).ok()?;
        self.gate.acquire().await.ok()?.forget();
        Some(Response::new(Body::from("done")))
    }
}

/// A client of a server that listens.
#[derive(Clone)]
struct Remote {
    client: Client<HttpConnector, Empty<Bytes>>,
    address: std::net::SocketAddr,
}

impl Remote {
    async fn get(&self, user: &str, path: &str) -> (u16, HeaderMap, String) {
        let request =
            Request::get(format!("http://{}{path}", self.address)).header("authorization", format!("Bearer {user}"));
        let answer = self.client.request(request.body(Empty::new()).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        (parts.status.as_u16(), parts.headers, text)
    }

    fn begin(&self, user: &'static str) -> JoinHandle<u16> {
        let remote = self.clone();
        tokio::spawn(async move { remote.get(user, "/openapi/slow").await.0 })
    }

    /// Waits until so many requests wait at a level.
    async fn until_waiting(&self, level: &str, expected: f64) {
        loop {
            let page = self.get("root", "/metrics").await.2;
            if number(&page, "current_inqueue_requests", level) >= expected {
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_noisy_client_starves_nobody() {
    let (asked, mut began) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let slow = Arc::new(Slow { asked, gate: gate.clone() });
    let users = ["root", "noisy", "quiet", "other"].map(|name| (name.to_owned(), known(name)));
    let tokens = StaticTokens(users.into());
    let cluster = cluster(10, |server| server.with_open_api(slow).with_authenticator(tokens)).await;
    let (schema, level_uid) = level(&cluster, "tight", queues(2), &["noisy", "quiet"]).await;
    level(&cluster, "roomy", queues(2), &["other"]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = serve(cluster.server.clone(), listener, None, Limits::default()).unwrap();
    let remote = Remote { client: Client::builder(TokioExecutor::new()).build_http(), address: serving.address() };

    // One seat: the noisy client has it, and fills its queue.
    let mut noisy = vec![remote.begin("noisy")];
    assert_eq!(began.recv().await.unwrap(), "noisy");
    noisy.extend([remote.begin("noisy"), remote.begin("noisy")]);
    remote.until_waiting("tight", 2.0).await;
    let (code, headers, text) = remote.get("noisy", "/openapi/slow").await;
    assert_eq!(
        (code, &headers["retry-after"], &*text),
        (429, &"1".parse().unwrap(), "Too many requests, please try again later.\n")
    );
    let marks = ["x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"];
    assert_eq!(marks.map(|mark| headers[mark].to_str().unwrap()), [&*schema, &*level_uid]);

    // The quiet one still finds a place, other levels are as they were, and the powerful need no place.
    let quiet = remote.begin("quiet");
    remote.until_waiting("tight", 3.0).await;
    assert_eq!(remote.get("other", "/version").await.0, 200);
    assert_eq!(remote.get("root", "/version").await.0, 200);

    // The next seat is the quiet one's.
    gate.add_permits(1);
    assert_eq!(began.recv().await.unwrap(), "quiet");
    gate.add_permits(3);
    assert_eq!(quiet.await.unwrap(), 200);
    for one in noisy {
        assert_eq!(one.await.unwrap(), 200);
    }
    let page = remote.get("root", "/metrics").await.2;
    let of_tight = |name| number(&page, name, "tight");
    assert_eq!(of_tight("dispatched_requests_total"), 4.0);
    assert_eq!(of_tight("rejected_requests_total"), 1.0);
    assert_eq!(of_tight("current_executing_requests") + of_tight("current_inqueue_requests"), 0.0);
    assert_eq!((of_tight("nominal_limit_seats"), of_tight("request_wait_duration_seconds_count")), (1.0, 4.0));
    assert!(page.contains(r#"apiserver_flowcontrol_rejected_requests_total{flow_schema="tight",priority_level="tight",reason="queue-full"} 1"#));
    let dump = remote.get("root", "/debug/api_priority_and_fairness/dump_priority_levels").await.2;
    assert!(dump.lines().any(|line| line.starts_with("tight,")), "{dump}");
    serving.shutdown().await;
}
