//! Rust functions that answer for hosts: webhooks without sockets, and the only ones that work in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt as _;

use super::call::full;
use super::{BoxError, Outbound, Peer, RequestBody};

type Function = dyn Fn(Request<Bytes>) -> BoxFuture<'static, Response<Bytes>> + Send + Sync;

/// Answers for some hosts by functions, and leaves the others to another [`Outbound`], if there is one.
#[derive(Clone, Default)]
pub struct InProcess {
    functions: BTreeMap<String, Arc<Function>>,
    others: Option<Arc<dyn Outbound>>,
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.functions.keys()).finish()
    }
}

impl InProcess {
    /// Answers for a host: that of a URL, or `name.namespace.svc` of a Service, which need not exist.
    #[must_use]
    pub fn host<F>(mut self, host: &str, function: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Bytes>> + Send + 'static,
    {
        self.functions.insert(host.to_owned(), Arc::new(move |request| Box::pin(function(request))));
        self
    }

    /// Leaves all other hosts to this one. Without, calling them fails.
    #[must_use]
    pub fn others(mut self, others: Arc<dyn Outbound>) -> Self {
        self.others = Some(others);
        self
    }
}

#[async_trait]
impl Outbound for InProcess {
    async fn send(&self, peer: &Peer, request: Request<RequestBody>) -> Result<Response<RequestBody>, BoxError> {
        let host = peer.place.host();
        match (self.functions.get(&host), &self.others) {
            (Some(function), _) => {
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                Ok(function(Request::from_parts(parts, body)).await.map(full))
            }
            (None, Some(others)) => others.send(peer, request).await,
            (None, None) => Err(format!("dial tcp: lookup {host}: no such host").into()),
        }
    }
}
