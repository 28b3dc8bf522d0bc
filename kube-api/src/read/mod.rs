//! Reading the cluster: get, list and watch, for every kind, in every version and form that a client may ask.
//!
//! | module | what it holds |
//! |---|---|
//! | [`options`] | what a client says about a list or watch, and what it may not say |
//! | [`fields`] | the fields of each kind that a field selector may name |
//! | [`selection`] | which objects are meant, and the shortest way to them |
//! | [`token`] | continue tokens |
//! | [`past`] | a collection as it stood at an older revision |
//! | [`list`] | get and list |
//! | [`form`] | one object as JSON of a version, as bare metadata, or as a row of a table |
//! | [`encoder`] | watch events encoded once, shared by all watchers of the same form |
//! | [`watch`] | a watch as a cursor |

pub mod encoder;
pub mod fields;
pub mod form;
pub mod list;
pub mod options;
pub mod past;
pub mod selection;
pub mod token;
pub mod watch;

use std::sync::Arc;
use std::time::Duration;

use coracle_core::{Gateway, Kind, Object, Reason, Revision, Status, World};
use coracle_store::Store;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::StatusCause;

use crate::custom::{Converter, needs_webhook};
use crate::outbound::{Network, Outbound};

pub use encoder::Encoders;
pub use form::{Form, IncludeObject, Shape};
pub use list::Listing;
pub use options::{ListOptions, VersionMatch};
pub use selection::Selection;
pub use watch::Watch;

/// How long a read waits for a revision that this server has not seen yet. Source: apiserver cacher `blockTimeout`.
pub const FRESHNESS_WAIT_MAX: Duration = Duration::from_secs(3);

/// The read side of the API. Cloning shares it.
#[derive(Clone)]
pub struct Reader {
    gateway: Arc<dyn Gateway>,
    store: Arc<dyn Store>,
    encoders: Arc<Encoders>,
    shared_store: bool,
    outbound: Arc<dyn Outbound>,
}

impl Reader {
    /// Reads what the gateway's world holds, and history from the store behind it.
    #[must_use]
    pub fn new(gateway: Arc<dyn Gateway>, store: Arc<dyn Store>) -> Self {
        let outbound = Arc::new(Network::new(gateway.feed().clone(), gateway.clock().clone()));
        Self { gateway, store, encoders: Arc::default(), shared_store: false, outbound }
    }

    /// With another way to conversion webhooks than the network.
    #[must_use]
    pub fn with_outbound(mut self, outbound: Arc<dyn Outbound>) -> Self {
        self.outbound = outbound;
        self
    }

    /// The way to others.
    pub(crate) fn outbound(&self) -> &Arc<dyn Outbound> {
        &self.outbound
    }

    /// Kept objects as a client of a version sees them, where a webhook has to convert them; as they are otherwise.
    pub(crate) async fn in_version(&self, kind: &Kind, objects: Vec<Arc<Object>>) -> Result<Vec<Arc<Object>>, Status> {
        if !needs_webhook(kind) {
            return Ok(objects);
        }
        let world = self.gateway.feed().world();
        Converter::new(&*self.outbound, self.gateway.entropy(), &world).objects(kind, objects).await
    }

    /// For a store that others write to as well: each read of the newest state asks the store how new that is.
    /// Default off, since a store that only this process writes to is never ahead of the world.
    #[must_use]
    pub fn with_shared_store(mut self) -> Self {
        self.shared_store = true;
        self
    }

    /// The gateway.
    #[must_use]
    pub fn gateway(&self) -> &Arc<dyn Gateway> {
        &self.gateway
    }

    /// The world with every change that was committed before this call.
    async fn newest(&self) -> Result<Arc<World>, Status> {
        if !self.shared_store {
            return Ok(self.gateway.feed().world());
        }
        let revision = self.store.revision().await.map_err(store_status)?;
        self.at_least(revision).await
    }

    /// The world once it has reached a revision.
    async fn at_least(&self, revision: Revision) -> Result<Arc<World>, Status> {
        let feed = self.gateway.feed();
        match tokio::time::timeout(FRESHNESS_WAIT_MAX, feed.reached(revision)).await {
            Ok(world) => Ok(world),
            Err(_elapsed) => Err(too_large(revision, feed.world().revision())),
        }
    }
}

/// 504: the client knows a revision that this server does not. Source: apiserver `storage.NewTooLargeResourceVersionError`.
fn too_large(asked: Revision, current: Revision) -> Status {
    let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
    let cause = StatusCause {
        reason: Some("ResourceVersionTooLarge".to_owned()),
        message: Some("Too large resource version".to_owned()),
        field: None,
    };
    Status::new(Reason::Timeout, message).with_causes(vec![cause]).retry_after(1)
}

/// What a failing store means to a reader.
fn store_status(error: coracle_store::Error) -> Status {
    use coracle_store::Error;
    match error {
        Error::Compacted { .. } => Status::expired("The resourceVersion for the provided list is too old."),
        Error::Ahead { asked, newest } => too_large(asked, newest),
        Error::Closed => Status::new(Reason::ServiceUnavailable, error.to_string()),
        Error::Broken(_) => Status::internal(error),
    }
}
