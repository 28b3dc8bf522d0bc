//! A cluster's API in memory, and requests to it as text.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use coracle_api::auth::{Auth, ServiceAccountTokens, SigningKey, TokenIssuer};
use coracle_api::http::ApiServer;
use coracle_api::http::Caller;
use coracle_api::http::body::{Body, RequestBody};
use coracle_api::{Admission, Ledger, Pipeline, Settings};
use coracle_core::{Clock, Entropy, Gateway, Kinds, Revision, User};
use coracle_store::{Memory, Store};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A clock that stands still.
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        "2026-05-01T10:00:00Z".parse().unwrap()
    }
}

pub(crate) struct Cluster {
    pub(crate) server: Arc<ApiServer>,
    pub(crate) gateway: Arc<dyn Gateway>,
    pub(crate) store: Arc<dyn Store>,
}

/// An answer that was read whole.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let list = self.json();
        let items = list["items"].as_array().unwrap_or_else(|| panic!("{list}"));
        items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::over(Arc::new(Memory::default())).await
    }

    /// A server whose journals begin with what the store holds now.
    pub(crate) async fn over(store: Arc<dyn Store>) -> Self {
        Self::with(store, |server| server).await
    }

    pub(crate) async fn with(store: Arc<dyn Store>, change: impl FnOnce(ApiServer) -> ApiServer) -> Self {
        Self::of(store, Vec::new(), change).await
    }

    /// A server with the built-in admission plugins, the namespace `default` and its ServiceAccount.
    pub(crate) async fn admitting() -> Self {
        let plugins = coracle_api::admission::builtin();
        let cluster = Self::of(Arc::new(Memory::default()), plugins, |server| server).await;
        let default = json!({"metadata": {"name": "default"}});
        cluster.post("/api/v1/namespaces", &default).await;
        cluster.post("/api/v1/namespaces/default/serviceaccounts", &default).await;
        cluster
    }

    pub(crate) async fn of(
        store: Arc<dyn Store>,
        admission: Vec<Box<dyn Admission>>,
        change: impl FnOnce(ApiServer) -> ApiServer,
    ) -> Self {
        let ledger = Ledger::open(store.clone(), Kinds::builtin()).await.unwrap();
        let issuer = TokenIssuer::new(SigningKey::generate().unwrap(), "https://kubernetes.default.svc");
        let tokens = ServiceAccountTokens::new(issuer, ledger.feed().clone(), Arc::new(Still));
        let auth = Auth::new(ledger.feed().clone()).with_tokens(Arc::new(tokens));
        let settings = Settings { clock: Arc::new(Still), entropy: Arc::new(Entropy::seeded(1)), admission };
        let gateway: Arc<dyn Gateway> = Arc::new(Pipeline::new(ledger, settings).with_auth(auth));
        let server = Arc::new(change(ApiServer::new(gateway.clone(), store.clone())));
        Self { server, gateway, store }
    }

    pub(crate) fn client(&self) -> kube::Client {
        kube::Client::new(self.server.in_process(User::owner()), "default")
    }

    pub(crate) fn revision(&self) -> Revision {
        self.gateway.feed().world().revision()
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Response<Body> {
        self.send_as(Caller::Known(User::owner()), method, target, headers, body).await
    }

    pub(crate) async fn send_as(
        &self,
        caller: Caller,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Response<Body> {
        let mut request = Request::builder().method(method.parse::<Method>().unwrap()).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body: RequestBody =
            Full::new(Bytes::copy_from_slice(body.as_ref())).map_err(|never| match never {}).boxed_unsync();
        self.server.handle(request.body(body).unwrap(), caller).await
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        read(self.send(method, target, headers, body).await).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[], "").await
    }

    pub(crate) async fn post(&self, target: &str, body: &Value) -> Value {
        let answer = self.ask("POST", target, &[("content-type", "application/json")], &body.to_string()).await;
        let created = answer.json();
        assert_eq!(answer.code, 201, "{created}");
        created
    }

    pub(crate) async fn config_map(&self, name: &str, labels: &[(&str, &str)]) -> Value {
        let labels: HashMap<_, _> = labels.iter().copied().collect();
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"a": "b"},
        });
        self.post(CONFIG_MAPS, &map).await
    }

    /// Replaces an object's labels.
    pub(crate) async fn label(&self, path: &str, key: &str, value: Option<&str>) {
        let patch = json!({"metadata": {"labels": {key: value}}}).to_string();
        let answer = self.ask("PATCH", path, &[("content-type", "application/merge-patch+json")], &patch).await;
        assert_eq!(answer.code, 200, "{:?}", answer.body);
    }
}

pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

pub(crate) async fn read(response: Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { code: parts.status.as_u16(), headers, body }
}

pub(crate) fn pod(name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "nginx"}]},
    })
}
