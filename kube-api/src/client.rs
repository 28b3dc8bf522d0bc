//! The typed way in for Rust programs: `Api<Pod>` and friends, without encoding, sockets or copies.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

use coracle_core::rbac::{Access, Place};
use coracle_core::{
    Action, Event, Gateway, GroupResource, Lagged, Object, ObjectKey, Patch, Request, Resource, Response, Status,
    Subscription, Target, User, World, selector::Selector,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;

use crate::auth::authenticator::authenticated;
use crate::auth::{Decision, Rbac, forbidden};

/// A handle to the cluster's API as one user. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    gateway: Arc<dyn Gateway>,
    user: Arc<User>,
    /// Whether roles and bindings limit this handle.
    guard: Option<Rbac>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Client of {}", self.user.name)
    }
}

impl Client {
    /// The cluster's owner.
    #[must_use]
    pub fn new(gateway: Arc<dyn Gateway>) -> Self {
        Self { gateway, user: User::owner(), guard: None }
    }

    /// The same cluster as a user sees it: everything asked, and everything read, must be allowed by roles and bindings. The
    /// user is in `system:authenticated` beside these groups.
    #[must_use]
    pub fn impersonate(&self, user: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let user = authenticated(User { name: user.to_owned(), groups, ..User::default() });
        let guard = Some(Rbac::new(self.gateway.feed().clone()));
        Self { gateway: self.gateway.clone(), user: Arc::new(user), guard }
    }

    /// Refuses what the user may not do.
    fn allow(&self, access: &Access<'_>) -> Result<(), Status> {
        match self.guard.as_ref().map(|guard| guard.decide(&self.user, access)) {
            None | Some(Decision::Allow(_)) => Ok(()),
            Some(Decision::Deny(reason)) => Err(forbidden(&self.user, access, &reason)),
        }
    }

    /// Refuses a request that the user may not make. An edit reads what it edits.
    fn allow_request(&self, request: &Request) -> Result<(), Status> {
        let access = Access::of(request);
        if matches!(request.action, Action::Edit(_)) {
            self.allow(&access.with_verb("get"))?;
        }
        self.allow(&access)
    }

    /// The objects of a type in one namespace.
    #[must_use]
    pub fn namespaced<K: Resource>(&self, namespace: &str) -> Api<K> {
        Api { client: self.clone(), namespace: namespace.into(), kind: PhantomData }
    }

    /// The objects of a cluster-scoped type, or of a namespaced type in all namespaces.
    #[must_use]
    pub fn all<K: Resource>(&self) -> Api<K> {
        self.namespaced("")
    }

    /// Carries out any request.
    ///
    /// # Errors
    /// The refusal.
    pub async fn execute(&self, request: Request) -> Result<Response, Status> {
        self.allow_request(&request)?;
        self.gateway.execute(request.by(self.user.clone())).await
    }

    /// Carries out requests together, each standing alone.
    pub async fn execute_all(&self, requests: Vec<Request>) -> Vec<Result<Response, Status>> {
        let requests = requests.into_iter().map(|request| request.by(self.user.clone()));
        if self.guard.is_none() {
            return self.gateway.execute_all(requests.collect()).await;
        }
        let mut answers = Vec::new();
        for request in requests {
            answers.push(self.execute(request).await);
        }
        answers
    }

    /// Applies every object of a YAML text, in order; those without a namespace go to `default`.
    ///
    /// # Errors
    /// The first refusal; what came before it stays applied.
    pub async fn apply_yaml(&self, text: &str) -> Result<Vec<Arc<Object>>, Status> {
        let mut applied = Vec::new();
        for request in crate::manifest::parse(self.gateway.feed().world().kinds(), text, "default")? {
            applied.extend(self.execute(request).await?.object);
        }
        Ok(applied)
    }

    /// Everything at the newest revision; nothing at all for a user who may not list everything.
    #[must_use]
    pub fn world(&self) -> Arc<World> {
        let world = self.gateway.feed().world();
        let everything = Place { group: "*", resource: "*", ..Place::default() };
        match self.allow(&Access::resource("list", everything)) {
            Ok(()) => world,
            Err(_) => Arc::new(World::new(world.kinds().clone())),
        }
    }

    /// The one way in behind this handle, which no roles limit.
    #[must_use]
    pub fn gateway(&self) -> &Arc<dyn Gateway> {
        &self.gateway
    }
}

/// The objects of one type, in one namespace or in all.
pub struct Api<K> {
    client: Client,
    namespace: Arc<str>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Api<K> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), namespace: self.namespace.clone(), kind: PhantomData }
    }
}

impl<K> std::fmt::Debug for Api<K> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Api in {:?}", self.namespace)
    }
}

impl<K: Resource> Api<K> {
    /// One object as it is now.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn get(&self, name: &str) -> Result<Arc<K>, Status> {
        self.allow("get", name)?;
        let found = self.now().get::<K>(&self.namespace, name);
        found.ok_or_else(|| Status::not_found(&GroupResource::of::<K>(), name))
    }

    /// All objects as they are now, by name. An impersonated user who may not list them sees none; [`Api::list_labeled`] says
    /// why.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<K>> {
        if self.allow("list", "").is_err() {
            return Vec::new();
        }
        self.now().list_in::<K>(&self.namespace).collect()
    }

    /// The objects that a label selector such as `app=web,tier!=test` chooses.
    ///
    /// # Errors
    /// 400 if the selector cannot be read.
    pub fn list_labeled(&self, selector: &str) -> Result<Vec<Arc<K>>, Status> {
        self.allow("list", "")?;
        let selector = Selector::parse(selector).map_err(|error| Status::bad_request(error.to_string()))?;
        let chosen = |object: &Arc<K>| selector.matches_optional(object.metadata().labels.as_ref());
        Ok(self.now().list_in::<K>(&self.namespace).filter(chosen).collect())
    }

    /// Creates an object.
    ///
    /// # Errors
    /// 409 if the name is taken, 422 if the object breaks its kind's rules, and what admission refuses.
    pub async fn create(&self, object: K) -> Result<Arc<K>, Status> {
        self.typed(self.placed(Request::create(object))).await
    }

    /// Replaces an object; its `resourceVersion`, if set, must still be the newest.
    ///
    /// # Errors
    /// 404, 409 or 422.
    pub async fn replace(&self, object: K) -> Result<Arc<K>, Status> {
        self.typed(self.placed(Request::update(object))).await
    }

    /// Replaces an object's status.
    ///
    /// # Errors
    /// 404, 409 or 422.
    pub async fn replace_status(&self, object: K) -> Result<Arc<K>, Status> {
        self.typed(self.placed(Request::update_status(object))).await
    }

    /// Edits the newest version, as often as it takes.
    ///
    /// # Errors
    /// 404, 422, or what the edit itself refuses.
    pub async fn edit(&self, name: &str, edit: impl Fn(&mut K) + Send + Sync + 'static) -> Result<Arc<K>, Status> {
        let edit = move |object: &mut K| {
            edit(object);
            Ok(())
        };
        self.typed(Request::edit(self.target(name), edit)).await
    }

    /// Patches an object.
    ///
    /// # Errors
    /// 400 if the patch makes no sense, 404, 409 or 422.
    pub async fn patch(&self, name: &str, patch: Patch) -> Result<Arc<K>, Status> {
        self.typed(Request::new(self.target(name), Action::Patch(patch))).await
    }

    /// Applies an object server-side as a field manager; takes fields that others own only if `force`.
    ///
    /// # Errors
    /// 409 with one cause per field that another manager owns, or 422.
    pub async fn apply(&self, object: &K, manager: &str, force: bool) -> Result<Arc<K>, Status> {
        let request = Request::apply(object, manager, force).map_err(Status::internal)?;
        self.typed(self.placed(request)).await
    }

    /// Deletes an object with its kind's usual grace; its dependents follow in the background (except a Job's pods, which stay).
    ///
    /// # Errors
    /// 404 if there is none.
    pub async fn delete(&self, name: &str) -> Result<Response, Status> {
        self.delete_with(name, DeleteOptions::default()).await
    }

    /// Deletes an object with these options.
    ///
    /// # Errors
    /// 404, or 409 if a precondition does not hold.
    pub async fn delete_with(&self, name: &str, options: DeleteOptions) -> Result<Response, Status> {
        self.client.execute(Request::new(self.target(name), Action::Delete(options))).await
    }

    /// Everything that is there now, then every change, in order and without a gap. An impersonated user who may not list and
    /// watch sees nothing, and is told so by [`Watch::next`].
    #[must_use]
    pub fn watch(&self) -> (Vec<Arc<K>>, Watch<K>) {
        let (world, changes) = self.client.gateway.feed().follow(Some(&GroupResource::of::<K>()));
        let refused = self.allow("list", "").and_then(|()| self.allow("watch", "")).err();
        let now = if refused.is_none() { world.list_in::<K>(&self.namespace).collect() } else { Vec::new() };
        (now, Watch { changes, namespace: self.namespace.clone(), refused, kind: PhantomData })
    }

    /// Waits until an object is as wished; `None` stands for "not there".
    ///
    /// # Errors
    /// 410 if changes came faster than they were read: call again.
    pub async fn until(&self, name: &str, wish: impl Fn(Option<&K>) -> bool) -> Result<Option<Arc<K>>, Status> {
        self.allow("get", name)?;
        self.allow("watch", name)?;
        let resource = GroupResource::of::<K>();
        let key = ObjectKey::new(&self.namespace, name);
        let (mut world, mut changes) = self.client.gateway.feed().follow(Some(&resource));
        loop {
            let object = world.object(&resource, key.as_str()).and_then(|object| object.shared::<K>());
            if wish(object.as_deref()) {
                return Ok(object);
            }
            changes.next(usize::MAX).await.map_err(lagged)?;
            world = self.now();
        }
    }

    /// Everything, for reads that were allowed.
    fn now(&self) -> Arc<World> {
        self.client.gateway.feed().world()
    }

    fn allow(&self, verb: &str, name: &str) -> Result<(), Status> {
        if self.client.guard.is_none() {
            return Ok(());
        }
        let target = self.target(name);
        self.client.allow(&Access::resource(verb, Place::of(&target)))
    }

    fn target(&self, name: &str) -> Target {
        Target::named::<K>(&self.namespace, name)
    }

    /// The request in this namespace, unless the object names one.
    fn placed(&self, mut request: Request) -> Request {
        if request.target.namespace.is_empty() {
            request.target.namespace = Cow::Owned(self.namespace.to_string());
        }
        request
    }

    async fn typed(&self, request: Request) -> Result<Arc<K>, Status> {
        let response = self.client.execute(request).await?;
        let object = response.object.as_deref().and_then(Object::shared);
        object.ok_or_else(|| Status::internal(format!("the answer is no {}", K::kind(&()))))
    }
}

/// One change of an object of a type.
#[derive(Clone, Debug)]
pub enum Change<K> {
    /// It is new.
    Added(Arc<K>),
    /// It has a new version.
    Modified(Arc<K>),
    /// It is gone; this is how it was last.
    Deleted(Arc<K>),
}

/// Changes of the objects of one type.
#[derive(Debug)]
pub struct Watch<K> {
    changes: Subscription,
    namespace: Arc<str>,
    /// What an impersonated user is told who may not watch.
    refused: Option<Status>,
    kind: PhantomData<fn() -> K>,
}

impl<K: Resource> Watch<K> {
    /// Waits for changes; returns those that are there, at least one.
    ///
    /// # Errors
    /// 410 if changes came faster than they were read: watch again. 403 for an impersonated user who may not watch.
    pub async fn next(&mut self) -> Result<Vec<Change<K>>, Status> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        loop {
            let events = self.changes.next(usize::MAX).await.map_err(lagged)?;
            let changes: Vec<_> = events.iter().filter_map(|event| self.change(event)).collect();
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }

    fn change(&self, event: &Event) -> Option<Change<K>> {
        if !self.namespace.is_empty() && event.object.namespace() != &*self.namespace {
            return None;
        }
        let object = event.object.shared()?;
        Some(match (event.deleted, &event.previous) {
            (true, _) => Change::Deleted(object),
            (false, None) => Change::Added(object),
            (false, Some(_)) => Change::Modified(object),
        })
    }
}

fn lagged(lagged: Lagged) -> Status {
    Status::expired(lagged.to_string())
}
