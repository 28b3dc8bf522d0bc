//! A wish for change as a value. `kubectl`, a controller, the scheduler and a node all make the same thing, and one pipeline
//! carries it out.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use k8s_openapi::api::core::v1::{Binding, ObjectReference, Pod};
use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};

use crate::event::Happening;
use crate::feed::Feed;
use crate::kind::GroupResource;
use crate::object::{Object, ObjectRef};
use crate::remarks::Remarks;
use crate::resource::{AnyResource, Resource};
use crate::selector::{FieldSelector, Selector};
use crate::status::Status;
use crate::time::{Clock, Entropy};

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The collection.
    pub resource: GroupResource,
    /// The API version it is asked in; `None` for the version objects are kept in.
    pub version: Option<Cow<'static, str>>,
    /// The namespace; empty for cluster-scoped kinds.
    pub namespace: Cow<'static, str>,
    /// The object; empty where the request has none yet (`create` with `generateName`) or is about a collection.
    pub name: Cow<'static, str>,
    /// What is asked below the object, such as `status`; empty for the object itself.
    pub subresource: Cow<'static, str>,
}

impl Target {
    /// An object of type `K` by name.
    #[must_use]
    pub fn named<K: Resource>(namespace: &str, name: &str) -> Self {
        Self {
            resource: GroupResource::of::<K>(),
            version: Some(K::version(&())),
            namespace: Cow::Owned(namespace.to_owned()),
            name: Cow::Owned(name.to_owned()),
            subresource: Cow::Borrowed(""),
        }
    }

    /// The place of an object.
    #[must_use]
    pub fn of<K: Resource>(object: &K) -> Self {
        let metadata = object.metadata();
        Self::named::<K>(metadata.namespace.as_deref().unwrap_or(""), metadata.name.as_deref().unwrap_or(""))
    }

    /// The place of an object whose type is known only at run time.
    #[must_use]
    pub fn place(place: &ObjectRef) -> Self {
        Self {
            resource: place.resource.clone(),
            version: None,
            namespace: Cow::Owned(place.key.namespace().to_owned()),
            name: Cow::Owned(place.key.name().to_owned()),
            subresource: Cow::Borrowed(""),
        }
    }

    /// Something below the object.
    #[must_use]
    pub fn below(mut self, subresource: impl Into<Cow<'static, str>>) -> Self {
        self.subresource = subresource.into();
        self
    }
}

/// The object a request carries: as a value, or as JSON that is still to be checked.
#[derive(Debug)]
pub enum Body {
    /// A value of the kind that the target expects.
    Value(Box<dyn AnyResource>),
    /// JSON from outside.
    Json(Bytes),
}

/// How a patch is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patch {
    /// RFC 6902.
    Json(Bytes),
    /// RFC 7396.
    Merge(Bytes),
    /// Kubernetes' own merge with directives.
    Strategic(Bytes),
    /// Server-side apply, JSON.
    Apply {
        /// What the manager wants.
        body: Bytes,
        /// Whether to take fields that others own.
        force: bool,
    },
}

/// An edit in process: reads the newest version, changes it, and is run again if another writer came first.
#[derive(Clone)]
pub struct Edit(Arc<EditFunction>);

type EditFunction = dyn Fn(&mut dyn AnyResource) -> Result<(), Status> + Send + Sync;

impl Edit {
    /// Changes a copy of the newest version.
    ///
    /// # Errors
    /// What the edit itself refuses.
    pub fn run(&self, object: &mut dyn AnyResource) -> Result<(), Status> {
        (self.0)(object)
    }
}

impl fmt::Debug for Edit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Edit")
    }
}

/// What is wished for.
#[derive(Debug)]
pub enum Action {
    /// A new object (or, for subresources such as `binding` and `eviction`, an order).
    Create(Body),
    /// A whole new version. With a `resourceVersion` it must still be the newest; without one it replaces whatever is there.
    Update(Body),
    /// A part of a new version.
    Patch(Patch),
    /// A new version made from the newest one, in process.
    Edit(Edit),
    /// A stream into something below the object, such as a command in a pod. Only asked whether it may be; the body says what
    /// is wanted (`PodExecOptions` and the like, as a [`CustomObject`](crate::custom::CustomObject) or JSON).
    Connect(Body),
    /// The end of an object.
    Delete(DeleteOptions),
    /// The end of every object of the collection that the selectors choose.
    DeleteCollection {
        /// How each is deleted.
        options: DeleteOptions,
        /// Chosen by labels.
        labels: Selector,
        /// Chosen by fields.
        fields: FieldSelector,
    },
}

/// What is done about fields that the schema does not know, or that appear twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Dropped in silence.
    Ignore,
    /// Dropped, with a warning each.
    #[default]
    Warn,
    /// The request is refused.
    Strict,
}

/// How a request is carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Everything but the commit.
    pub dry_run: bool,
    /// Who owns the fields that change. Empty: derived from the client, or untracked in process.
    pub field_manager: Cow<'static, str>,
    /// What is done about unknown fields of a [`Body::Json`].
    pub field_validation: FieldValidation,
    /// For an update or apply: whether to create what does not exist.
    pub create_missing: bool,
    /// Who hears what is told beside the answer. Default: nobody.
    pub remarks: Remarks,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The user name; empty for the cluster's own parts.
    pub name: String,
    /// The user's uid, if the authenticator knows one.
    pub uid: String,
    /// The user's groups.
    pub groups: Vec<String>,
    /// What else the authenticator knows.
    pub extra: std::collections::BTreeMap<String, Vec<String>>,
}

impl User {
    /// The user that the cluster's own parts and the embedder's `cluster.api()` are: may do everything.
    #[must_use]
    pub fn owner() -> Arc<Self> {
        static OWNER: std::sync::OnceLock<Arc<User>> = std::sync::OnceLock::new();
        let make = || {
            let groups = vec!["system:masters".to_owned()];
            Arc::new(Self { name: "system:admin".to_owned(), groups, ..Self::default() })
        };
        OWNER.get_or_init(make).clone()
    }
}

/// A wish for change.
#[derive(Debug)]
pub struct Request {
    /// What it is about.
    pub target: Target,
    /// What is wished for.
    pub action: Action,
    /// How it is carried out.
    pub options: Options,
    /// Who asks.
    pub user: Arc<User>,
}

impl Request {
    /// A request of the cluster's owner, field validation off (a value has no unknown fields).
    #[must_use]
    pub fn new(target: Target, action: Action) -> Self {
        let options = Options { field_validation: FieldValidation::Ignore, ..Options::default() };
        Self { target, action, options, user: User::owner() }
    }

    /// Creates an object.
    pub fn create<K: Resource>(object: K) -> Self {
        Self::new(Target::of(&object), Action::Create(Body::Value(Box::new(object))))
    }

    /// Replaces an object; refused with a conflict if its `resourceVersion` is no longer the newest.
    pub fn update<K: Resource>(object: K) -> Self {
        Self::new(Target::of(&object), Action::Update(Body::Value(Box::new(object))))
    }

    /// Replaces an object's status only; refused with a conflict if its `resourceVersion` is no longer the newest.
    pub fn update_status<K: Resource>(object: K) -> Self {
        Self::new(Target::of(&object).below("status"), Action::Update(Body::Value(Box::new(object))))
    }

    /// Edits the newest version of an object, as often as it takes.
    pub fn edit<K: Resource>(
        target: Target,
        edit: impl Fn(&mut K) -> Result<(), Status> + Send + Sync + 'static,
    ) -> Self {
        let edit = move |object: &mut dyn AnyResource| match object.as_any_mut().downcast_mut() {
            Some(object) => edit(object),
            None => Err(Status::internal(format!("an edit expected {}", K::kind(&())))),
        };
        Self::new(target, Action::Edit(Edit(Arc::new(edit))))
    }

    /// Edits the newest metadata of an object of any kind.
    pub fn edit_metadata(
        place: &ObjectRef,
        edit: impl Fn(&mut ObjectMeta) -> Result<(), Status> + Send + Sync + 'static,
    ) -> Self {
        let edit = move |object: &mut dyn AnyResource| edit(object.metadata_mut());
        Self::new(Target::place(place), Action::Edit(Edit(Arc::new(edit))))
    }

    /// Deletes this very object (by uid) with the grace its kind gives. What it owns follows in the background, unless the object
    /// or its kind says otherwise: Jobs leave their pods, as upstream's do.
    pub fn delete<K: Resource>(object: &K) -> Self {
        let preconditions = Preconditions { uid: object.metadata().uid.clone(), resource_version: None };
        let options = DeleteOptions { preconditions: Some(preconditions), ..DeleteOptions::default() };
        Self::new(Target::of(object), Action::Delete(options))
    }

    /// A deletion that says what becomes of what the object owns: `Background`, `Foreground` or `Orphan`. Other requests stay as
    /// they are.
    #[must_use]
    pub fn propagating(mut self, policy: &str) -> Self {
        if let Action::Delete(options) = &mut self.action {
            options.propagation_policy = Some(policy.to_owned());
        }
        self
    }

    /// Deletes this very version's object of any kind, with these options; the uid is made a precondition.
    #[must_use]
    pub fn delete_object(object: &Object, mut options: DeleteOptions) -> Self {
        options.preconditions.get_or_insert_default().uid = object.metadata().uid.clone();
        Self::new(Target::place(&object.reference()), Action::Delete(options))
    }

    /// Binds a pod to a node. Refused if the pod is bound already, or is another one than `uid`.
    #[must_use]
    pub fn bind(pod: &Pod, node: &str) -> Self {
        let metadata = ObjectMeta {
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectMeta::default()
        };
        let target = ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(node.to_owned()),
            ..ObjectReference::default()
        };
        let binding = Binding { metadata, target };
        Self::new(Target::of(pod).below("binding"), Action::Create(Body::Value(Box::new(binding))))
    }

    /// Deletes a pod if its disruption budgets allow it.
    #[must_use]
    pub fn evict(pod: &Pod, options: DeleteOptions) -> Self {
        let metadata = ObjectMeta {
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            ..ObjectMeta::default()
        };
        let eviction = Eviction { metadata, delete_options: Some(options) };
        Self::new(Target::of(pod).below("eviction"), Action::Create(Body::Value(Box::new(eviction))))
    }

    /// Applies a value server-side as a field manager, taking fields that others own only if `force`.
    ///
    /// # Errors
    /// If the value cannot be encoded.
    pub fn apply<K: Resource>(object: &K, manager: &str, force: bool) -> Result<Self, serde_json::Error> {
        let body = object.encode()?.into();
        let mut request = Self::new(Target::of(object), Action::Patch(Patch::Apply { body, force }));
        request.options.field_manager = Cow::Owned(manager.to_owned());
        Ok(request)
    }

    /// The same request on behalf of another user.
    #[must_use]
    pub fn by(mut self, user: Arc<User>) -> Self {
        self.user = user;
        self
    }

    /// The same request without its effect.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.options.dry_run = true;
        self
    }
}

/// What a request did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// There was nothing, now there is an object.
    Created,
    /// There is a new version.
    Updated,
    /// The object already was as wished; nothing was written.
    Unchanged,
    /// The object is gone.
    Deleted,
    /// The object is marked and will be gone when its grace is over and its finalizers are done.
    Terminating,
}

/// The answer to a request that was carried out.
#[derive(Clone, Debug)]
pub struct Response {
    /// The object as it is now (or was last, if deleted). For a collection, the last one deleted, if any.
    pub object: Option<Arc<Object>>,
    /// Every object a collection request touched.
    pub objects: Vec<Arc<Object>>,
    /// What happened.
    pub effect: Effect,
    /// What the client should be told beside the answer.
    pub warnings: Vec<String>,
}

/// The one way in, and the read side: what controllers, the scheduler and nodes know of the cluster.
#[async_trait]
pub trait Gateway: Send + Sync + 'static {
    /// Carries out one request. The world has its effect when this returns.
    async fn execute(&self, request: Request) -> Result<Response, Status>;

    /// Carries out requests, each on its own, in order where they concern the same object; one answer each, in order.
    async fn execute_all(&self, requests: Vec<Request>) -> Vec<Result<Response, Status>>;

    /// The running copy of the world.
    fn feed(&self) -> &Arc<Feed>;

    /// The cluster's time.
    fn clock(&self) -> &Arc<dyn Clock>;

    /// The cluster's ids and randomness.
    fn entropy(&self) -> &Arc<Entropy>;

    /// Tells people what happened. Never waits: when too much happens at once, the rest is dropped, as upstream does.
    fn record(&self, happening: Happening);
}
