//! An API server in memory with all built-in admission, asked over HTTP in process.

use std::sync::Arc;

use bytes::Bytes;
use coracle_api::http::body::RequestBody;
use coracle_api::http::{ApiServer, Caller};
use coracle_api::outbound::Outbound;
use coracle_api::{Ledger, Pipeline, Settings, admission};
use coracle_core::{Clock, Entropy, Gateway, Kinds, User};
use coracle_store::Memory;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::hooks::Hooks;

pub(crate) const NOW: &str = "2026-05-01T10:00:00Z";

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW.parse().unwrap()
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(Still)
}

pub(crate) struct Cluster {
    pub(crate) server: Arc<ApiServer>,
    pub(crate) gateway: Arc<dyn Gateway>,
}

/// An answer that was read whole.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Value,
    pub(crate) text: String,
    pub(crate) warnings: Vec<String>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn good(self) -> Value {
        assert!(self.code < 300, "{} {}", self.code, self.text);
        self.body
    }

    /// The code and the message of a refusal.
    #[track_caller]
    pub(crate) fn refused(&self) -> (u16, String) {
        assert!(self.code >= 400, "{} {}", self.code, self.text);
        (self.code, self.body["message"].as_str().unwrap_or(&self.text).to_owned())
    }
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::with(|pipeline| pipeline, |server| server).await
    }

    /// A cluster that calls out by this way.
    pub(crate) async fn calling(outbound: Arc<dyn Outbound>) -> Self {
        let server = outbound.clone();
        Self::with(|pipeline| pipeline.with_outbound(outbound), |api| api.with_outbound(server)).await
    }

    pub(crate) async fn with(
        change: impl FnOnce(Pipeline) -> Pipeline,
        serve: impl FnOnce(ApiServer) -> ApiServer,
    ) -> Self {
        let store = Arc::new(Memory::default());
        let ledger = Ledger::open(store.clone(), Kinds::builtin()).await.unwrap();
        let settings =
            Settings { clock: clock(), entropy: Arc::new(Entropy::seeded(1)), admission: admission::builtin() };
        let pipeline = Arc::new(change(Pipeline::new(ledger, settings)));
        let gateway: Arc<dyn Gateway> = pipeline.clone();
        let server = Arc::new(serve(ApiServer::new(gateway.clone(), store)));
        let definitions = gateway.clone();
        tokio::spawn(async move { coracle_api::custom::run(&*definitions).await });
        let cluster = Self { server, gateway };
        for text in [
            "{apiVersion: v1, kind: Namespace, metadata: {name: default, labels: {team: a}}}",
            "{apiVersion: v1, kind: Namespace, metadata: {name: other}}",
            "{apiVersion: v1, kind: ServiceAccount, metadata: {name: default, namespace: default}}",
        ] {
            cluster.create(text).await.good();
        }
        cluster
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Response<coracle_api::http::body::Body> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body: RequestBody =
            Full::new(Bytes::copy_from_slice(body.as_ref())).map_err(|never| match never {}).boxed_unsync();
        let user = User { name: "jane".to_owned(), groups: vec!["system:masters".to_owned()], ..User::default() };
        self.server.handle(request.body(body).unwrap(), Caller::Known(Arc::new(user))).await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let content = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/yaml",
        };
        let response = self.send(method, path, &[("content-type", content), ("user-agent", "test")], body).await;
        let (parts, body) = response.into_parts();
        let warnings =
            parts.headers.get_all("warning").iter().map(|value| value.to_str().unwrap().to_owned()).collect();
        let body = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Answer { code: parts.status.as_u16(), body, text, warnings }
    }

    /// Creates an object of YAML at the place that it names.
    pub(crate) async fn create(&self, text: &str) -> Answer {
        let object: Value = serde_saphyr::from_str(text).unwrap();
        let field = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let world = self.gateway.feed().world();
        let kind = world.kinds().by_kind(field("/apiVersion"), field("/kind")).unwrap().clone();
        let base = if kind.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}", kind.api_version()) };
        let namespace = match field("/metadata/namespace") {
            "" => "default",
            namespace => namespace,
        };
        let place = if kind.namespaced { format!("/namespaces/{namespace}") } else { String::new() };
        self.ask("POST", &format!("{base}{place}/{}", kind.plural), text).await
    }

    /// The Service `hook`, which stands for this machine.
    pub(crate) async fn service(&self) {
        let hook = "{apiVersion: v1, kind: Service, metadata: {name: hook}, spec: {type: ExternalName, externalName: localhost}}";
        self.create(hook).await.good();
    }

    /// A webhook configuration: `kind` is `Mutating` or `Validating`; each webhook is YAML fields beyond the usual ones.
    pub(crate) async fn configure(&self, kind: &str, name: &str, hooks: &Hooks, webhooks: &[&str]) -> Answer {
        let webhooks = webhooks.iter().enumerate().map(|(index, fields)| {
            let mut webhook = json!({
                "name": format!("w{index}.{name}.test"),
                "clientConfig": {
                    "service": {"namespace": "default", "name": "hook", "port": hooks.address.port(), "path": format!("/{name}/{index}")},
                    "caBundle": hooks.bundle(),
                },
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            });
            let fields: Value = serde_saphyr::from_str(fields).unwrap();
            webhook.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            webhook
        });
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": format!("{kind}WebhookConfiguration"),
            "metadata": {"name": name}, "webhooks": webhooks.collect::<Vec<_>>(),
        });
        self.create(&configuration.to_string()).await
    }
}

/// A rule over some resources: `operations` and `resources` are YAML lists.
pub(crate) fn rules(operations: &str, group: &str, version: &str, resources: &str) -> String {
    format!(
        "rules: [{{operations: {operations}, apiGroups: ['{group}'], apiVersions: ['{version}'], resources: {resources}}}]"
    )
}

pub(crate) const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: c, image: i}]}
";
