//! As much of a cluster as a node needs: a world that takes creates, edits and deletes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use coracle_core::request::Effect;
use coracle_core::{
    Action, Body, Clock, Entropy, Event, Feed, Gateway, Happening, Kinds, Object, ObjectKey, ObjectRef, Request,
    Resource, Response, Status, World,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

pub(super) struct Cluster {
    world: Mutex<World>,
    feed: Arc<Feed>,
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
    told: Mutex<Vec<(String, &'static str)>>,
    writes: Mutex<Vec<String>>,
    /// Whether writers are told that they failed when they did not.
    pub(super) loses_answers: AtomicBool,
}

struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH.checked_add(self.0.elapsed()).unwrap()
    }
}

impl Cluster {
    pub(super) fn new() -> Arc<Self> {
        let world = World::new(Kinds::builtin());
        Arc::new(Self {
            feed: Arc::new(Feed::new(world.clone())),
            world: Mutex::new(world),
            clock: Arc::new(Virtual(Instant::now())),
            entropy: Arc::new(Entropy::seeded(1)),
            told: Mutex::default(),
            writes: Mutex::default(),
            loses_answers: AtomicBool::new(false),
        })
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    pub(super) fn get<K: Resource>(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.feed.world().get::<K>(namespace, name)
    }

    pub(super) fn pod(&self, name: &str) -> Option<Arc<Pod>> {
        self.get::<Pod>("ns", name)
    }

    /// Reasons told of a pod, in order.
    pub(super) fn told(&self, name: &str) -> Vec<&'static str> {
        self.told.lock().unwrap().iter().filter(|(of, _)| of == name).map(|(_, reason)| *reason).collect()
    }

    /// How often a node wrote a pod.
    pub(super) fn writes(&self, name: &str) -> usize {
        self.writes.lock().unwrap().iter().filter(|of| *of == name).count()
    }

    pub(super) fn put<K: Resource>(&self, object: K) -> Arc<Object> {
        let mut world = self.world.lock().unwrap();
        let previous = world.at(&ObjectRef::of(&object)).cloned();
        let object = world.insert(object).unwrap();
        let event = Event { revision: object.revision(), object: object.clone(), previous, deleted: false };
        self.feed.publish(world.clone(), vec![event]);
        object
    }

    pub(super) fn mark_deleted(&self, name: &str, grace: i64) {
        let mut pod = (*self.pod(name).unwrap()).clone();
        pod.metadata.deletion_timestamp = Some(self.clock.time());
        pod.metadata.deletion_grace_period_seconds = Some(grace);
        self.put(pod);
    }

    fn store(&self, place: &ObjectRef, mut value: Box<dyn coracle_core::AnyResource>) -> Arc<Object> {
        let mut world = self.world.lock().unwrap();
        let kind = world.kinds().storage(&place.resource).unwrap().clone();
        value.metadata_mut().resource_version = None;
        value.metadata_mut().uid.get_or_insert_with(|| place.to_string());
        let stored = value.encode().unwrap().into();
        let object = Arc::new(Object::committed(kind, value, stored, world.revision().next()));
        let previous = world.put(object.clone());
        let event = Event { revision: object.revision(), object: object.clone(), previous, deleted: false };
        self.feed.publish(world.clone(), vec![event]);
        object
    }
}

#[async_trait]
impl Gateway for Cluster {
    async fn execute(&self, request: Request) -> Result<Response, Status> {
        let target = &request.target;
        let key = ObjectKey::new(&target.namespace, &target.name);
        let place = ObjectRef { resource: target.resource.clone(), key };
        let found = self.feed.world().at(&place).cloned();
        let missing = || Status::not_found(&place.resource, place.key.name());
        let (object, effect) = match request.action {
            Action::Create(Body::Value(_)) if found.is_some() => {
                return Err(Status::already_exists(&place.resource, place.key.name()));
            }
            Action::Create(Body::Value(value)) => (self.store(&place, value), Effect::Created),
            Action::Edit(edit) => {
                self.writes.lock().unwrap().push(place.key.name().to_owned());
                let mut value = found.ok_or_else(missing)?.value().duplicate();
                edit.run(&mut *value)?;
                (self.store(&place, value), Effect::Updated)
            }
            Action::Delete(_) => {
                let mut world = self.world.lock().unwrap();
                let revision = world.revision().next();
                let previous = world.remove(&place.resource, &place.key, revision).ok_or_else(missing)?;
                let object = Arc::new(previous.at(revision));
                let event = Event { revision, object: object.clone(), previous: Some(previous), deleted: true };
                self.feed.publish(world.clone(), vec![event]);
                (object, Effect::Deleted)
            }
            _ => return Err(Status::bad_request("not needed by nodes")),
        };
        if self.loses_answers.load(Ordering::Relaxed) {
            return Err(Status::internal("the answer is lost"));
        }
        Ok(Response { object: Some(object), objects: Vec::new(), effect, warnings: Vec::new() })
    }

    async fn execute_all(&self, requests: Vec<Request>) -> Vec<Result<Response, Status>> {
        let mut answers = Vec::new();
        for request in requests {
            answers.push(self.execute(request).await);
        }
        answers
    }

    fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn entropy(&self) -> &Arc<Entropy> {
        &self.entropy
    }

    fn record(&self, happening: Happening) {
        let name = happening.regarding.name.clone().unwrap_or_default();
        self.told.lock().unwrap().push((name, happening.reason));
    }
}
