//! What a controller knows of the cluster and may do to it.

use std::fmt;
use std::sync::Arc;

use coracle_core::{Gateway, Happening, Request, Resource, Response, Severity, Status, World};
use jiff::Timestamp;

use crate::controller::Error;

/// One controller's door to the cluster. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    gateway: Arc<dyn Gateway>,
    controller: &'static str,
}

impl Context {
    /// A door for the controller of that name.
    #[must_use]
    pub fn new(gateway: Arc<dyn Gateway>, controller: &'static str) -> Self {
        Self { gateway, controller }
    }

    /// The name of the controller: the reporter of its events, the field manager of what it applies.
    #[must_use]
    pub const fn controller(&self) -> &'static str {
        self.controller
    }

    /// The cluster itself.
    #[must_use]
    pub fn gateway(&self) -> &Arc<dyn Gateway> {
        &self.gateway
    }

    /// The newest state of the cluster.
    #[must_use]
    pub fn world(&self) -> Arc<World> {
        self.gateway.feed().world()
    }

    /// What time it is in the cluster.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.gateway.clock().now()
    }

    /// Carries out one request. The world has its effect when this returns.
    ///
    /// # Errors
    /// If the cluster refuses.
    pub async fn execute(&self, request: Request) -> Result<Response, Status> {
        self.gateway.execute(request).await
    }

    /// Carries out requests, each on its own; one answer each, in order.
    pub async fn execute_all(&self, requests: Vec<Request>) -> Vec<Result<Response, Status>> {
        self.gateway.execute_all(requests).await
    }

    /// One object; `namespace` is empty for cluster-scoped kinds.
    #[must_use]
    pub fn get<K: Resource>(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.world().get(namespace, name)
    }

    /// Creates an object and returns it as it was stored.
    ///
    /// # Errors
    /// If the cluster refuses.
    pub async fn create<K: Resource>(&self, object: K) -> Result<Arc<K>, Error> {
        typed(self.execute(Request::create(object)).await?)
    }

    /// Replaces an object and returns it as it was stored.
    ///
    /// # Errors
    /// If the cluster refuses, for example because the object's `resourceVersion` is no longer the newest.
    pub async fn update<K: Resource>(&self, object: K) -> Result<Arc<K>, Error> {
        typed(self.execute(Request::update(object)).await?)
    }

    /// Replaces an object's status and returns it as it was stored.
    ///
    /// # Errors
    /// If the cluster refuses, for example because the object's `resourceVersion` is no longer the newest.
    pub async fn update_status<K: Resource>(&self, object: K) -> Result<Arc<K>, Error> {
        typed(self.execute(Request::update_status(object)).await?)
    }

    /// Applies an object server-side, with this controller as the field manager; takes fields that others own.
    ///
    /// # Errors
    /// If the cluster refuses.
    pub async fn apply<K: Resource>(&self, object: &K) -> Result<Arc<K>, Error> {
        typed(self.execute(Request::apply(object, self.controller, true)?).await?)
    }

    /// Deletes this very object; it is no error if it is gone already.
    ///
    /// # Errors
    /// If the cluster refuses.
    pub async fn delete<K: Resource>(&self, object: &K) -> Result<(), Error> {
        match self.execute(Request::delete(object)).await {
            Err(status) if !status.is_not_found() => Err(status.into()),
            _ => Ok(()),
        }
    }

    /// Tells people what happened.
    pub fn record(&self, happening: Happening) {
        self.gateway.record(happening);
    }

    /// Tells people what happened to an object, in this controller's name.
    pub fn event<K: Resource>(&self, object: &K, severity: Severity, reason: &'static str, note: impl Into<String>) {
        self.record(Happening::new(self.controller, object, severity, reason, note));
    }
}

fn typed<K: Resource>(response: Response) -> Result<Arc<K>, Error> {
    let object = response.object.and_then(|object| object.shared());
    object.ok_or_else(|| Status::internal(format!("the answer held no {}", K::kind(&()))).into())
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Context of {}", self.controller)
    }
}
