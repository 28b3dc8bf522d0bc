//! What requests cost, in process and over HTTP/2 on loopback (without TLS): `cargo bench -p coracle-api`.
//!
//! Everything runs on one thread, the client too, so the allocations that divan shows per request are those of both; in
//! process the client has next to none. Compare rows of one run with each other, or with the same row of another commit.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a benchmark fails by panicking")]

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;
use coracle_api::auth::StaticTokens;
use coracle_api::http::body::{BoxError, RequestBody};
use coracle_api::http::serve::{Limits, Serving, serve};
use coracle_api::http::{ApiServer, Caller};
use coracle_api::{Ledger, Pipeline, Settings};
use coracle_core::{Clock, Entropy, Gateway, Kinds, Request as Change, User};
use coracle_store::{Memory, Store};
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use futures::StreamExt as _;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const PODS: &str = "/api/v1/namespaces/default/pods";
const POD: &str = "/api/v1/namespaces/default/pods/web-00000";
const MERGE: &str = "application/merge-patch+json";
/// Watches on one connection; the server takes a thousand.
const WATCHES_PER_CONNECTION: usize = 500;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_767_225_600).unwrap()
    }
}

fn pod(number: usize) -> Value {
    let resources = json!({"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}});
    let env = json!([{"name": "LOG_LEVEL", "value": "info"}, {"name": "PORT", "value": "8080"}]);
    let probe = json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10});
    let container = json!({"name": "main", "image": "registry.example.dev/web:1.2.3", "resources": resources, "env": env,
        "ports": [{"containerPort": 8080}], "readinessProbe": probe, "livenessProbe": probe});
    let labels = json!({"app": "web", "tier": "front", "pod-template-hash": "5d4f8c7b9"});
    let metadata = json!({"name": format!("web-{number:05}"), "namespace": "default", "labels": labels});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}})
}

/// A way to the server.
#[derive(Clone, Copy, Debug)]
enum Way {
    InProcess,
    Http,
}

const WAYS: [Way; 2] = [Way::InProcess, Way::Http];

struct Cluster {
    runtime: Runtime,
    server: Arc<ApiServer>,
    gateway: Arc<dyn Gateway>,
    serving: Serving,
    connections: Vec<SendRequest<RequestBody>>,
}

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

impl Cluster {
    /// A server with so many pods, and so many connections to it.
    fn start(pods: usize, connections: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (server, gateway, serving, connections) = runtime.block_on(async {
            let store: Arc<dyn Store> = Arc::new(Memory::default());
            let ledger = Ledger::open(store.clone(), Kinds::builtin()).await.unwrap();
            let entropy = Arc::new(Entropy::seeded(1));
            let settings = Settings { clock: Arc::new(Still), entropy, admission: Vec::new() };
            let gateway: Arc<dyn Gateway> = Arc::new(Pipeline::new(ledger, settings));
            let masters = User { groups: vec!["system:masters".to_owned()], ..User::default() };
            let server = ApiServer::new(gateway.clone(), store);
            let server = Arc::new(server.with_authenticator(StaticTokens([("token".to_owned(), masters)].into())));
            for number in 0..pods {
                let pod: Pod = serde_json::from_value(pod(number)).unwrap();
                gateway.execute(Change::create(pod)).await.unwrap();
            }
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let serving = serve(server.clone(), listener, None, Limits::default()).unwrap();
            let mut ways = Vec::new();
            for _ in 0..connections {
                let stream = TcpStream::connect(serving.address()).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
                let (way, connection) = shaken.unwrap();
                drop(tokio::spawn(connection));
                ways.push(way);
            }
            (server, gateway, serving, ways)
        });
        Self { runtime, server, gateway, serving, connections }
    }

    async fn ask(&self, way: Way, connection: usize, method: Method, target: &str, content: (&str, Bytes)) -> Answer {
        let (content_type, body) = content;
        let body: RequestBody = Full::new(body).map_err(|never| match never {}).boxed_unsync();
        let address = format!("http://{}{target}", self.serving.address());
        let request = Request::builder().method(method).uri(address).header("content-type", content_type);
        match way {
            Way::InProcess => {
                let request = request.body(body).unwrap();
                let answer = self.server.handle(request, Caller::Known(User::owner())).await;
                answer.map(|body| body.boxed_unsync())
            }
            Way::Http => {
                let request = request.header("authorization", "Bearer token").body(body).unwrap();
                let answer = self.connections[connection].clone().send_request(request).await.unwrap();
                answer.map(|body| body.map_err(Into::into).boxed_unsync())
            }
        }
    }

    /// Asks and reads the whole answer; how long that was.
    fn whole(&self, way: Way, method: Method, target: &str, content: (&str, Bytes)) -> usize {
        self.runtime.block_on(async {
            let answer = self.ask(way, 0, method, target, content).await;
            assert!(answer.status().is_success(), "{}", answer.status());
            let mut length = 0;
            let mut body = answer.into_body().into_data_stream();
            while let Some(chunk) = body.next().await {
                length += chunk.unwrap().len();
            }
            length
        })
    }
}

#[divan::bench(args = WAYS)]
fn get(bencher: Bencher, way: Way) {
    let cluster = Cluster::start(1_000, 1);
    bencher.bench_local(|| cluster.whole(way, Method::GET, POD, ("", Bytes::new())));
}

#[divan::bench(args = WAYS, sample_count = 20)]
fn list_10_000_pods(bencher: Bencher, way: Way) {
    let cluster = Cluster::start(10_000, 1);
    bencher
        .counter(ItemsCount::new(10_000_usize))
        .bench_local(|| cluster.whole(way, Method::GET, PODS, ("", Bytes::new())));
}

/// The twentieth page of 500 of 20,000 pods.
#[divan::bench(args = WAYS)]
fn list_a_page_of_500(bencher: Bencher, way: Way) {
    let cluster = Cluster::start(20_000, 1);
    let mut token = String::new();
    for _ in 0..19 {
        let target = format!("{PODS}?limit=500&continue={token}");
        let page = cluster.runtime.block_on(async {
            let answer = cluster.ask(Way::InProcess, 0, Method::GET, &target, ("", Bytes::new())).await;
            serde_json::from_slice::<Value>(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
        });
        page["metadata"]["continue"].as_str().unwrap().clone_into(&mut token);
    }
    let target = format!("{PODS}?limit=500&continue={token}");
    bencher
        .counter(ItemsCount::new(500_usize))
        .bench_local(|| cluster.whole(way, Method::GET, &target, ("", Bytes::new())));
}

#[divan::bench(args = WAYS)]
fn create(bencher: Bencher, way: Way) {
    let cluster = Cluster::start(0, 1);
    let mut number = 0;
    let next = || {
        number += 1;
        Bytes::from(pod(number).to_string())
    };
    bencher
        .with_inputs(next)
        .bench_local_values(|pod| cluster.whole(way, Method::POST, PODS, ("application/json", pod)));
}

fn label(number: usize) -> (&'static str, Bytes) {
    (MERGE, Bytes::from(json!({"metadata": {"labels": {"turn": number.to_string()}}}).to_string()))
}

#[divan::bench(args = WAYS)]
fn patch(bencher: Bencher, way: Way) {
    let cluster = Cluster::start(1_000, 1);
    let mut number = 0;
    let next = || {
        number += 1;
        label(number)
    };
    bencher.with_inputs(next).bench_local_values(|patch| cluster.whole(way, Method::PATCH, POD, patch));
}

/// From one change to so many watchers having read it. The change itself is made in process.
fn fan_out(bencher: Bencher, way: Way, watchers: usize) {
    let cluster = Cluster::start(1, watchers.div_ceil(WATCHES_PER_CONNECTION));
    let revision = cluster.gateway.feed().world().revision();
    let target = format!("{PODS}?watch=true&resourceVersion={revision}");
    let mut bodies = Vec::new();
    cluster.runtime.block_on(async {
        for number in 0..watchers {
            let connection = number / WATCHES_PER_CONNECTION;
            let answer = cluster.ask(way, connection, Method::GET, &target, ("", Bytes::new())).await;
            bodies.push(answer.into_body().into_data_stream());
        }
    });
    let number = Cell::new(0);
    bencher.counter(ItemsCount::new(watchers)).bench_local(|| {
        number.set(number.get() + 1);
        cluster.runtime.block_on(async {
            let answer = cluster.ask(Way::InProcess, 0, Method::PATCH, POD, label(number.get())).await;
            assert!(answer.status().is_success());
            for body in &mut bodies {
                // A line may come in pieces; its end is a newline.
                while body.next().await.unwrap().unwrap().last() != Some(&b'\n') {}
            }
        });
    });
}

#[divan::bench(args = [1, 100, 10_000])]
fn watch_fan_out_in_process(bencher: Bencher, watchers: usize) {
    fan_out(bencher, Way::InProcess, watchers);
}

#[divan::bench(args = [1, 100, 10_000])]
fn watch_fan_out_over_http(bencher: Bencher, watchers: usize) {
    fan_out(bencher, Way::Http, watchers);
}
