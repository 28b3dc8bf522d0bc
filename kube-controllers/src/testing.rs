//! A cluster small enough for a planner's test: a [`World`], a time, and plans that take effect at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use coracle_core::request::Effect;
use coracle_core::{
    Action, AnyResource, Body, Event, Kind, Kinds, Object, ObjectKey, ObjectRef, Request, Resource, Response, Status,
    World,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use crate::plan::{Plan, Step, summary};
use crate::planner::Planner;

/// When tests take place.
pub(crate) fn noon() -> Timestamp {
    "2030-01-01T12:00:00Z".parse().unwrap()
}

pub(crate) fn ago(seconds: i64) -> Time {
    Time(noon() - SignedDuration::from_secs(seconds))
}

/// The world of a test.
#[derive(Clone)]
pub(crate) struct Small {
    pub(crate) world: World,
    pub(crate) now: Timestamp,
    made: usize,
    /// Refuses creates of this plural with this message.
    pub(crate) refuse: Option<(&'static str, &'static str)>,
    /// Keeps deleted pods, marked.
    pub(crate) graceful: bool,
}

impl Small {
    /// Objects as YAML documents, separated by `---`. Namespaced ones without a namespace go to `default`.
    pub(crate) fn new(yaml: &str) -> Self {
        let world = World::new(Kinds::builtin());
        let mut small = Self { world, now: noon(), made: 0, refuse: None, graceful: false };
        small.add(yaml);
        small
    }

    pub(crate) fn add(&mut self, yaml: &str) -> &mut Self {
        for document in yaml.split("---\n").filter(|document| !document.trim().is_empty()) {
            self.add_json(serde_saphyr::from_str(document).unwrap());
        }
        self
    }

    pub(crate) fn add_json(&mut self, mut value: Value) {
        let kind = value["kind"].as_str().unwrap().to_owned();
        let api_version = value.get("apiVersion").and_then(Value::as_str).map(str::to_owned);
        let kinds = Kinds::builtin();
        let found = |row: &&Arc<Kind>| {
            row.kind == kind
                && row.is_storage_version()
                && api_version.as_ref().is_none_or(|it| row.api_version() == *it)
        };
        let row = kinds.iter().find(found).unwrap_or_else(|| panic!("no kind {kind}"));
        value["apiVersion"] = json!(row.api_version());
        let metadata = value.as_object_mut().unwrap().entry("metadata").or_insert_with(|| json!({}));
        if row.namespaced && metadata.get("namespace").is_none() {
            metadata["namespace"] = json!("default");
        }
        if metadata.get("uid").is_none() {
            metadata["uid"] = json!(format!("{}-{}", row.singular, metadata["name"].as_str().unwrap()));
        }
        let object = row.codec.decode(&serde_json::to_vec(&value).unwrap()).unwrap();
        self.store(row.clone(), object);
    }

    fn store(&mut self, kind: Arc<Kind>, mut value: Box<dyn AnyResource>) -> Arc<Object> {
        value.metadata_mut().resource_version = None;
        let stored = value.encode().unwrap().into();
        let object = Arc::new(Object::committed(kind, value, stored, self.world.revision().next()));
        self.world.put(object.clone());
        object
    }

    pub(crate) fn get<K: Resource>(&self, name: &str) -> Arc<K> {
        self.world.get("default", name).or_else(|| self.world.get("", name)).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Changes an object from outside.
    pub(crate) fn edit<K: Resource>(&mut self, name: &str, edit: impl FnOnce(&mut K)) -> &mut Self {
        let mut object = (*self.get::<K>(name)).clone();
        edit(&mut object);
        self.world.insert(object).unwrap();
        self
    }

    pub(crate) fn plan<P: Planner>(&self, planner: &P, name: &str) -> Plan {
        let object = self.get::<P::Kind>(name);
        let observed = planner.observe(&object, &self.world);
        planner.plan(&object, observed, self.now)
    }

    /// Plans for one object and carries it out; says what happened, a line each.
    pub(crate) fn step<P: Planner>(&mut self, planner: &P, name: &str) -> String {
        let plan = self.plan(planner, name);
        self.carry_out(plan)
    }

    /// As [`crate::carry_out`], on a world.
    pub(crate) fn carry_out(&mut self, plan: Plan) -> String {
        let mut lines = String::new();
        for step in plan.steps {
            if let Step::Tell(happening) = &step {
                writeln!(lines, "event {}: {}", happening.reason, happening.note).unwrap();
            }
            let slow = matches!(step, Step::SlowStart(_));
            let (Step::Together(wishes) | Step::SlowStart(wishes)) = step else { continue };
            let mut failed = None;
            for wish in wishes {
                let answer = self.execute(&wish.request, &mut lines);
                if let Some(happening) = wish.announcement.and_then(|announcement| announcement.of(&answer)) {
                    writeln!(lines, "  event {}: {}", happening.reason, happening.note).unwrap();
                }
                failed = failed.or(answer.err());
                if slow && failed.is_some() {
                    break;
                }
            }
            if let Some(refusal) = failed {
                if let Some(request) = plan.on_failure.and_then(|write| write.request(&refusal)) {
                    self.execute(&request, &mut lines).unwrap();
                }
                return lines;
            }
        }
        if let Some(after) = plan.requeue_after {
            writeln!(lines, "look again after {after:?}").unwrap();
        }
        lines
    }

    fn execute(&mut self, request: &Request, lines: &mut String) -> Result<Response, Status> {
        let target = &request.target;
        let row = self.world.kinds().storage(&target.resource).unwrap().clone();
        let place =
            ObjectRef { resource: target.resource.clone(), key: ObjectKey::new(&target.namespace, &target.name) };
        let known = self.world.at(&place).cloned();
        match &request.action {
            Action::Create(Body::Value(value)) => self.create(request, row, &**value, lines),
            Action::Update(Body::Value(value)) => {
                let before = known.ok_or_else(|| Status::not_found(&target.resource, &target.name))?;
                if value.metadata().resource_version.as_ref().is_some_and(|it| *it != before.revision().to_string()) {
                    return Err(Status::stale(&target.resource, &target.name));
                }
                Ok(self.replace(&summary(request), &before, value.duplicate(), lines))
            }
            Action::Edit(edit) => {
                let before = known.ok_or_else(|| Status::not_found(&target.resource, &target.name))?;
                let mut value = before.value().duplicate();
                edit.run(&mut *value)?;
                Ok(self.replace(&summary(request), &before, value, lines))
            }
            Action::Delete(options) => {
                let before = known.ok_or_else(|| Status::not_found(&target.resource, &target.name))?;
                let policy = options.propagation_policy.as_deref().unwrap_or("");
                let space = if policy.is_empty() { "" } else { " " };
                writeln!(lines, "{}{space}{policy}", summary(request)).unwrap();
                let mut value = before.value().duplicate();
                let finalizers = value.metadata_mut().finalizers.get_or_insert_default();
                match policy {
                    "Foreground" => finalizers.push("foregroundDeletion".to_owned()),
                    "Orphan" => finalizers.push("orphan".to_owned()),
                    _ => {}
                }
                let keeps = self.graceful && row.plural == "pods" && options.grace_period_seconds != Some(0);
                if !finalizers.is_empty() || keeps {
                    value.metadata_mut().deletion_timestamp = Some(Time(self.now));
                    let object = self.store(row, value);
                    return Ok(answer(object, Effect::Terminating));
                }
                self.world.remove(&place.resource, &place.key, self.world.revision().next());
                Ok(answer(before, Effect::Deleted))
            }
            other => panic!("not known here: {other:?}"),
        }
    }

    fn create(
        &mut self,
        request: &Request,
        row: Arc<Kind>,
        value: &dyn AnyResource,
        lines: &mut String,
    ) -> Result<Response, Status> {
        let mut value = value.duplicate();
        writeln!(lines, "{}{}", summary(request), details(&*value)).unwrap();
        if let Some((_, why)) = self.refuse.filter(|(plural, _)| row.plural == *plural) {
            return Err(Status::forbidden(&row.storage, "", why));
        }
        self.made += 1;
        let made = self.made;
        let metadata = value.metadata_mut();
        if metadata.name.is_none() {
            metadata.name = metadata.generate_name.as_ref().map(|prefix| format!("{prefix}{made}"));
        }
        metadata.uid = Some(format!("made-{made}"));
        metadata.generation = Some(1);
        metadata.creation_timestamp = Some(Time(self.now));
        let place = ObjectRef { resource: row.storage.clone(), key: ObjectKey::of(metadata) };
        if self.world.at(&place).is_some() {
            return Err(Status::already_exists(&row.storage, place.key.name()));
        }
        Ok(answer(self.store(row, value), Effect::Created))
    }

    fn replace(
        &mut self,
        what: &str,
        before: &Arc<Object>,
        mut value: Box<dyn AnyResource>,
        lines: &mut String,
    ) -> Response {
        let (old, new) = (json_of(before.value()), json_of(&*value));
        if old["spec"] != new["spec"] {
            let metadata = value.metadata_mut();
            metadata.generation = Some(metadata.generation.unwrap_or(0) + 1);
        }
        writeln!(lines, "{what}{}", difference(&old, &new)).unwrap();
        let done = value.metadata().deletion_timestamp.is_some()
            && value.metadata().finalizers.iter().flatten().next().is_none()
            && new["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty)
            && (before.kind().plural != "namespaces" || what.contains("finalize"));
        if done {
            self.world.remove(&before.kind().storage, &before.key(), self.world.revision().next());
            return answer(before.clone(), Effect::Deleted);
        }
        answer(self.store(before.kind().clone(), value), Effect::Updated)
    }
}

/// The event by which `after` came from `before`.
pub(crate) fn change(before: &World, after: &World, place: &ObjectRef) -> Event {
    let (previous, now) = (before.at(place).cloned(), after.at(place).cloned());
    let object = now.clone().or_else(|| previous.clone()).unwrap();
    Event { revision: after.revision(), object, previous, deleted: now.is_none() }
}

fn answer(object: Arc<Object>, effect: Effect) -> Response {
    Response { object: Some(object), objects: Vec::new(), effect, warnings: Vec::new() }
}

fn json_of(value: &dyn AnyResource) -> Value {
    serde_json::from_slice(&value.encode().unwrap()).unwrap()
}

/// What matters of a new object.
fn details(value: &dyn AnyResource) -> String {
    let json = json_of(value);
    let replicas = &json["spec"]["replicas"];
    if replicas.is_null() { String::new() } else { format!(" replicas={replicas}") }
}

/// What differs, leaf by leaf.
fn difference(old: &Value, new: &Value) -> String {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    flatten("", old, &mut before);
    flatten("", new, &mut after);
    let mut text = String::new();
    for key in before.keys().chain(after.keys()).collect::<std::collections::BTreeSet<_>>() {
        if before.get(key) != after.get(key) {
            let short = key.trim_start_matches("spec.").trim_start_matches("status.").trim_start_matches("metadata.");
            write!(text, " {short}={}", after.get(key).map_or("-", String::as_str)).unwrap();
        }
    }
    text
}

fn flatten(path: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => map.iter().filter(|(key, _)| !is_noise(key)).for_each(|(key, value)| {
            flatten(&below(key.rsplit('/').next().unwrap()), value, out);
        }),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                match item["type"].as_str().filter(|_| item["status"].is_string()) {
                    Some(kind) => {
                        let text = |key: &str| item[key].as_str().unwrap_or("").to_owned();
                        out.insert(kind.to_owned(), format!("{}/{}", text("status"), text("reason")));
                    }
                    None => flatten(&below(&index.to_string()), item, out),
                }
            }
        }
        Value::String(text) => drop(out.insert(path.to_owned(), text.clone())),
        other => drop(out.insert(path.to_owned(), other.to_string())),
    }
}

fn is_noise(key: &str) -> bool {
    matches!(key, "resourceVersion" | "generation" | "observedGeneration" | "desired-replicas" | "max-replicas")
        || key.ends_with("-replicas")
}
