//! Another API server behind this one.

use std::sync::Arc;

use coracle_api::aggregation::{self, Aggregation};
use coracle_api::auth::StaticTokens;
use coracle_api::http::pki::Authority;
use coracle_api::http::serve::{Limits, serve};
use coracle_api::openapi::Published;
use coracle_api::outbound::Network;
use coracle_core::User;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::cluster::{Cluster, NOW, clock};
use crate::hooks::{Asked, Hooks, Reply};

fn answer(asked: &Asked) -> Reply {
    let resources = json!([
        {"name": "lamps", "singularName": "lamp", "namespaced": true, "kind": "Lamp", "verbs": ["get", "list"], "shortNames": ["lp"]},
        {"name": "lamps/status", "singularName": "", "namespaced": true, "kind": "Lamp", "verbs": ["get"]},
    ]);
    match asked.path.split('?').next().unwrap() {
        "/apis/light.example.com/v1" => Reply::Json(json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "light.example.com/v1", "resources": resources,
        })),
        "/apis/light.example.com/v1/elsewhere" => {
            Reply::Raw(302, String::new(), Some("https://evil.example.com".to_owned()))
        }
        "/openapi/v2" => Reply::Json(json!({
            "swagger": "2.0",
            "paths": {
                "/apis/light.example.com/v1/lamps": {"get": {"responses": {"200": {"schema": {"$ref": "#/definitions/com.example.Lamp"}}}}},
                "/api/v1/pods": {},
            },
            "definitions": {
                "com.example.Lamp": {"properties": {"metadata": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}}},
                "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {"description": "of an older version"},
            },
        })),
        "/apis/light.example.com/v1/broken" => Reply::Close,
        _ => Reply::Json(json!({"kind": "LampList", "apiVersion": "light.example.com/v1", "items": []})),
    }
}

async fn cluster(front_proxy: &Authority) -> Cluster {
    let identity = front_proxy.client("front-proxy-client", &[], NOW.parse().unwrap()).unwrap();
    let aggregation = Arc::new(Aggregation::default());
    let known = aggregation.clone();
    let mut network = None;
    let cluster = Cluster::with(
        |pipeline| {
            let outbound = Arc::new(Network::new(pipeline.ledger().feed().clone(), clock()).with_identity(identity));
            network = Some(outbound.clone());
            pipeline.with_outbound(outbound)
        },
        |server| server.with_aggregation(known),
    )
    .await;
    let network = network.unwrap();
    let server = Arc::try_unwrap(cluster.server).unwrap().with_outbound(network.clone());
    let server = server.with_open_api(Arc::new(Published::new(cluster.gateway.clone())));
    let cluster = Cluster { server: Arc::new(server), ..cluster };
    tokio::spawn(aggregation::run(cluster.gateway.clone(), network, aggregation));
    cluster
}

async fn register(cluster: &Cluster, hooks: &Hooks) {
    let service = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.light.example.com"},
        "spec": {
            "group": "light.example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15,
            "service": {"namespace": "default", "name": "hook", "port": hooks.address.port()}, "caBundle": hooks.bundle(),
        },
    });
    cluster.create(&service.to_string()).await.good();
}

/// Waits for the state of the APIService; its reason and message.
async fn until(cluster: &Cluster, status: &str) -> (String, String) {
    loop {
        let service =
            cluster.ask("GET", "/apis/apiregistration.k8s.io/v1/apiservices/v1.light.example.com", "").await.good();
        let condition = &service["status"]["conditions"][0];
        if condition["status"] == status {
            let text = |name: &str| condition[name].as_str().unwrap().to_owned();
            return (text("reason"), text("message"));
        }
        tokio::task::yield_now().await;
    }
}

const LAMPS: &str = "/apis/light.example.com/v1/namespaces/default/lamps?limit=5";

#[tokio::test]
async fn requests_are_passed_on_with_who_asks() {
    let front_proxy = Authority::create(NOW.parse().unwrap()).unwrap();
    let hooks = Hooks::trusting(&front_proxy, answer).await;
    let cluster = cluster(&front_proxy).await;
    register(&cluster, &hooks).await;
    let missing = ("ServiceNotFound".to_owned(), "service/hook in \"default\" is not present".to_owned());
    assert_eq!(until(&cluster, "False").await, missing);
    let refused = cluster.ask("GET", LAMPS, "").await;
    assert_eq!((refused.code, &*refused.text), (503, "service unavailable\n"));
    cluster.service().await;
    assert_eq!(until(&cluster, "True").await, ("Passed".to_owned(), "all checks passed".to_owned()));
    hooks.take();
    let response = cluster.send("GET", LAMPS, &[("authorization", "Bearer x"), ("x-remote-user", "root")], "").await;
    assert_eq!(response.status(), 200);
    let asked = hooks.take();
    let header = |name: &str| asked[0].headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!((&*asked[0].path, header("x-remote-user"), header("authorization")), (LAMPS, Some("jane"), None));
    assert_eq!(header("test-client-certificate"), Some("yes"));
    let groups: Vec<_> = asked[0].headers.get_all("x-remote-group").iter().collect();
    assert_eq!(groups, ["system:masters", "system:authenticated"]);
    let redirect = cluster.ask("GET", "/apis/light.example.com/v1/elsewhere", "").await;
    assert_eq!(redirect.code, 502, "{}", redirect.text);
    let broken = cluster.ask("GET", "/apis/light.example.com/v1/broken", "").await;
    assert_eq!(broken.code, 503);
    assert!(broken.text.starts_with("error trying to reach service: "), "{}", broken.text);
}

#[tokio::test]
async fn upgrades_are_passed_through() {
    let front_proxy = Authority::create(NOW.parse().unwrap()).unwrap();
    let hooks = Hooks::trusting(&front_proxy, answer).await;
    let cluster = cluster(&front_proxy).await;
    cluster.service().await;
    register(&cluster, &hooks).await;
    until(&cluster, "True").await;
    let root = User { name: "root".to_owned(), groups: vec!["system:masters".to_owned()], ..User::default() };
    let server = Arc::try_unwrap(cluster.server).unwrap();
    let server = server.with_authenticator(StaticTokens([("root-token".to_owned(), root)].into()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = serve(Arc::new(server), listener, None, Limits::default()).unwrap();
    let mut stream = TcpStream::connect(serving.address()).await.unwrap();
    let request = "GET /apis/light.example.com/v1/echo HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer root-token\r\n\
                   Connection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap().to_lowercase();
    assert!(answer.starts_with("http/1.1 101") && answer.contains("upgrade: echo"), "{answer}");
    stream.write_all(b"hello").await.unwrap();
    let mut echoed = [0; 5];
    stream.read_exact(&mut echoed).await.unwrap();
    assert_eq!(&echoed, b"hello");
}

#[tokio::test]
async fn discovery_shows_what_others_serve() {
    let front_proxy = Authority::create(NOW.parse().unwrap()).unwrap();
    let hooks = Hooks::trusting(&front_proxy, answer).await;
    let cluster = cluster(&front_proxy).await;
    cluster.service().await;
    register(&cluster, &hooks).await;
    until(&cluster, "True").await;
    let groups = cluster.ask("GET", "/apis", "").await.good();
    let names =
        |groups: &Value| groups["groups"].as_array().unwrap().iter().any(|group| group["name"] == "light.example.com");
    assert!(names(&groups));
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let response = cluster.send("GET", "/apis", &[("accept", accept)], "").await;
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    let all: Value = serde_json::from_slice(&body).unwrap();
    let group =
        all["items"].as_array().unwrap().iter().find(|group| group["metadata"]["name"] == "light.example.com").unwrap();
    let resource = &group["versions"][0]["resources"][0];
    assert_eq!(
        (&resource["resource"], &resource["shortNames"], &resource["subresources"][0]["subresource"]),
        (&json!("lamps"), &json!(["lp"]), &json!("status"))
    );
    let index = cluster.ask("GET", "/openapi/v3", "").await.good();
    assert_eq!(
        index["paths"]["apis/light.example.com/v1"]["serverRelativeURL"],
        "/openapi/v3/apis/light.example.com/v1"
    );
    assert!(index["paths"]["apis/apps/v1"].is_object());
    cluster.ask("GET", "/openapi/v3/apis/light.example.com/v1", "").await.good();
    assert_eq!(hooks.take().last().unwrap().path, "/openapi/v3/apis/light.example.com/v1");
    let all = cluster.ask("GET", "/openapi/v2", "").await.good();
    let lamp = &all["definitions"]["com.example.Lamp"]["properties"]["metadata"]["$ref"];
    assert_eq!(lamp, "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta_v2");
    assert!(
        all["paths"]["/apis/light.example.com/v1/lamps"].is_object()
            && all["paths"]["/apis/apps/v1/deployments"].is_object()
    );
    let asked = hooks.take();
    assert_eq!(asked[0].headers["x-remote-user"], "system:aggregator");
    let path = "/apis/apiregistration.k8s.io/v1/apiservices/v1.light.example.com";
    cluster.ask("DELETE", path, "").await.good();
    assert!(!names(&cluster.ask("GET", "/apis", "").await.good()));
    assert_eq!(cluster.ask("GET", LAMPS, "").await.code, 404);
}

#[tokio::test]
async fn what_is_served_here_is_registered() {
    let cluster = Cluster::start().await;
    let gateway = cluster.gateway.clone();
    tokio::spawn(async move { aggregation::register(&*gateway).await });
    tokio::spawn(aggregation::run(
        cluster.gateway.clone(),
        Arc::new(Network::new(cluster.gateway.feed().clone(), clock())),
        Arc::default(),
    ));
    let path = "/apis/apiregistration.k8s.io/v1/apiservices/v1.apps";
    let service = loop {
        let answer = cluster.ask("GET", path, "").await;
        if answer.code == 200 && answer.body["status"]["conditions"][0]["reason"] == "Local" {
            break answer.good();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(service["metadata"]["labels"]["kube-aggregator.kubernetes.io/automanaged"], "onstart");
    assert_eq!(
        service["spec"],
        json!({"group": "apps", "version": "v1", "groupPriorityMinimum": 17800, "versionPriority": 15})
    );
}
