//! What a pod template was before: the ControllerRevisions of StatefulSets and DaemonSets. Source: `pkg/controller/history`.
//!
//! A revision keeps one template under a name and a number. The present template always has the highest number, so going back
//! to a former template gives that template's revision a new number instead of making a second one.

use std::sync::Arc;

use coracle_core::object::controller_of;
use coracle_core::selector::Selector;
use coracle_core::{Event, GroupResource, Kinds, ObjectKey, Request, Resource, World};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::{PodTemplate, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde_json::{Value, json};

use crate::ownership::{Claims, candidates, claim, controller_reference};
use crate::plan::Wish;
use crate::template_hash::template_hash;
use crate::watches::Watches;

/// The label by which a pod says which revision it was made from.
pub const REVISION_HASH: &str = "controller-revision-hash";

/// Bytes of the owner's name in a revision's name at most. Source: `ControllerRevisionName`.
const PREFIX_BYTES_MAX: usize = 223;

/// The revisions of one owner, and which of them is the present template.
#[derive(Debug)]
pub struct History {
    /// The owner's revisions, oldest first.
    pub revisions: Vec<Arc<ControllerRevision>>,
    /// Adoptions and releases to be made first.
    pub changes: Vec<Wish>,
    /// The revision of the present template.
    pub present: Present,
}

/// The revision of the present template.
#[derive(Debug)]
pub struct Present {
    /// Its name.
    pub name: String,
    /// Its hash, as labels carry it.
    pub hash: String,
    /// How it comes to be: a new revision, or a higher number for a known one. Nothing if it is as it should be.
    pub wish: Option<Wish>,
    /// How many names were found taken by others, ever.
    pub collisions: Option<i32>,
    /// Other revisions of the very same template, which serve no purpose.
    pub duplicates: Vec<Arc<ControllerRevision>>,
}

/// The history of `owner`, whose present template is `template`; `hash_label` is where its revisions carry their hash.
pub fn observe<O: Resource>(
    owner: &O,
    selector: &Selector,
    template: &PodTemplateSpec,
    collisions: Option<i32>,
    hash_label: &'static str,
    world: &World,
) -> History {
    let Claims { kept, changes } = claim(owner, selector, candidates::<ControllerRevision>(owner.metadata(), world));
    let mut revisions = kept;
    revisions.retain(|revision| revision.metadata.deletion_timestamp.is_none());
    revisions.sort_by_cached_key(age);
    let data = data_of(template);
    let (mut equal, others): (Vec<_>, Vec<_>) =
        revisions.iter().cloned().partition(|revision| revision.data.as_ref().is_some_and(|kept| kept.0 == data));
    let number = others.last().map_or(0, |newest| newest.revision) + 1;
    let present = match equal.pop() {
        Some(known) => Present {
            name: name_of(&known.metadata).to_owned(),
            hash: hash_of(&known, hash_label).to_owned(),
            wish: (known.revision < number).then(|| renumbering(&known, number)),
            collisions,
            duplicates: equal,
        },
        None => fresh(owner, template, data, number, collisions, hash_label, world),
    };
    History { revisions, changes, present }
}

impl History {
    /// The pod template that a revision kept; `None` if there is no such revision, or it kept something else.
    #[must_use]
    pub fn template(&self, name: &str) -> Option<PodTemplateSpec> {
        let revision = self.revisions.iter().find(|revision| name_of(&revision.metadata) == name)?;
        let template = revision.data.as_ref()?.0.pointer("/spec/template")?;
        let holder = json!({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {}, "template": template});
        let kinds = Kinds::builtin();
        let decoded = kinds.of::<PodTemplate>()?.codec.decode(holder.to_string().as_bytes()).ok()?;
        decoded.into_any_box().downcast::<PodTemplate>().ok()?.template
    }

    /// Deletes the oldest `surplus` revisions, leaving out those that are still `in_use`.
    pub fn forget(&self, surplus: usize, in_use: impl Fn(&ControllerRevision) -> bool) -> Vec<Wish> {
        let unused = self.revisions.iter().filter(|revision| !in_use(revision));
        unused.take(surplus).map(|revision| Request::delete(&**revision).into()).collect()
    }
}

/// Wakes owners whose revisions were adopted, released or deleted.
pub fn watch<K: Resource>(on: &mut Watches<K>) {
    on.changes::<ControllerRevision>(|event: &Event, world: &World| {
        let before = event.previous.as_deref().and_then(|previous| controller_of(previous.metadata()));
        let after = controller_of(event.object.metadata());
        let is_new = event.previous.is_none();
        if (is_new || before == after) && !event.deleted {
            return Vec::new();
        }
        let owners = [before, after].into_iter().flatten().filter_map(|owner| world.by_uid(&owner.uid));
        let owners = owners.filter(|owner| owner.kind().storage == GroupResource::of::<K>());
        owners.map(|owner| owner.key()).collect::<Vec<ObjectKey>>()
    });
}

/// The hash of a revision; one that carries none is known by its name.
#[must_use]
pub fn hash_of<'a>(revision: &'a ControllerRevision, hash_label: &str) -> &'a str {
    let labels = revision.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(hash_label)).map_or(name_of(&revision.metadata), String::as_str)
}

/// The revision that a pod or anything else was made from; empty if it does not say.
#[must_use]
pub fn made_from(metadata: &ObjectMeta) -> &str {
    metadata.labels.as_ref().and_then(|labels| labels.get(REVISION_HASH)).map_or("", String::as_str)
}

fn fresh<O: Resource>(
    owner: &O,
    template: &PodTemplateSpec,
    data: Value,
    number: i64,
    mut collisions: Option<i32>,
    hash_label: &'static str,
    world: &World,
) -> Present {
    let namespace = owner.metadata().namespace.as_deref().unwrap_or("");
    let prefix = name_of(owner.metadata());
    let prefix = prefix.get(..PREFIX_BYTES_MAX).unwrap_or(prefix);
    let (name, hash) = loop {
        let hash = template_hash(template, collisions);
        let name = format!("{prefix}-{hash}");
        if world.get::<ControllerRevision>(namespace, &name).is_none() {
            break (name, hash);
        }
        collisions = Some(collisions.unwrap_or(0) + 1);
    };
    let mut labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    labels.insert(hash_label.to_owned(), hash.clone());
    let revision = ControllerRevision {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: owner.metadata().namespace.clone(),
            labels: Some(labels),
            annotations: owner.metadata().annotations.clone(),
            owner_references: Some(vec![controller_reference(owner)]),
            ..ObjectMeta::default()
        },
        data: Some(RawExtension(data)),
        revision: number,
    };
    Present { name, hash, wish: Some(Request::create(revision).into()), collisions, duplicates: Vec::new() }
}

fn renumbering(revision: &ControllerRevision, number: i64) -> Wish {
    Request::update(ControllerRevision { revision: number, ..revision.clone() }).into()
}

/// What a revision keeps: a strategic merge patch that puts the template back. Source: `getPatch`.
fn data_of(template: &PodTemplateSpec) -> Value {
    let encoded = serde_json::to_vec(template).unwrap_or_default();
    let mut template: Value = serde_json::from_slice(&encoded).unwrap_or_default();
    if let Value::Object(fields) = &mut template {
        fields.insert("$patch".to_owned(), json!("replace"));
    }
    json!({"spec": {"template": template}})
}

/// Source: `byRevision`.
fn age(revision: &Arc<ControllerRevision>) -> (i64, jiff::Timestamp, String) {
    let metadata = &revision.metadata;
    let created = metadata.creation_timestamp.as_ref().map_or(jiff::Timestamp::MIN, |created| created.0);
    (revision.revision, created, name_of(metadata).to_owned())
}

fn name_of(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or("")
}
