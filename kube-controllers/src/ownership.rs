//! Who controls what: owner references, adoption of orphans and release of strays. Source: `controller_ref_manager.go`.

use std::sync::Arc;

use coracle_core::object::controller_of;
use coracle_core::selector::Selector;
use coracle_core::{ObjectRef, Request, Resource, Status, World};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::plan::Wish;

/// The reference by which an object is controlled by `owner`.
pub fn controller_reference<K: Resource>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: owner.metadata().name.clone().unwrap_or_default(),
        uid: owner.metadata().uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Whether an object is controlled by the one with these metadata.
#[must_use]
pub fn is_controlled_by(object: &ObjectMeta, owner: &ObjectMeta) -> bool {
    controller_of(object).is_some_and(|reference| Some(&reference.uid) == owner.uid.as_ref())
}

/// What an owner with a selector has, and what it still has to settle.
#[derive(Debug)]
pub struct Claims<K> {
    /// Controlled and selected.
    pub kept: Vec<Arc<K>>,
    /// Adoptions of selected orphans, and releases of what is controlled but no longer selected.
    pub changes: Vec<Wish>,
}

/// What of `candidates` belongs to `owner`. Adoption waits for nobody: the orphan counts once its change has come back.
pub fn claim<O: Resource, K: Resource>(
    owner: &O,
    selector: &Selector,
    candidates: impl Iterator<Item = Arc<K>>,
) -> Claims<K> {
    let mut claims = Claims { kept: Vec::new(), changes: Vec::new() };
    let leaving = owner.metadata().deletion_timestamp.is_some();
    for candidate in candidates {
        let metadata = candidate.metadata();
        let selected = selector.matches_optional(metadata.labels.as_ref());
        match controller_of(metadata) {
            Some(_) if !is_controlled_by(metadata, owner.metadata()) => {}
            Some(_) if selected => claims.kept.push(candidate),
            Some(_) if !leaving => claims.changes.push(release(&*candidate, owner)),
            None if selected && !leaving && metadata.deletion_timestamp.is_none() => {
                claims.changes.push(adopt(&*candidate, owner));
            }
            _ => {}
        }
    }
    claims
}

/// Everything of type `K` that `owner` controls or might adopt: its dependents, and orphans in its namespace.
pub fn candidates<K: Resource>(owner: &ObjectMeta, world: &World) -> impl Iterator<Item = Arc<K>> {
    let uid = owner.uid.as_deref().unwrap_or("");
    let namespace = owner.namespace.as_deref().unwrap_or("");
    let dependents = world.owned_by::<K>(uid);
    dependents.chain(world.orphans::<K>(namespace))
}

fn adopt<K: Resource, O: Resource>(orphan: &K, owner: &O) -> Wish {
    let reference = controller_reference(owner);
    let uid = orphan.metadata().uid.clone();
    let place = ObjectRef::of(orphan);
    let edit = move |metadata: &mut ObjectMeta| {
        if metadata.uid != uid || controller_of(metadata).is_some_and(|other| other.uid != reference.uid) {
            return Err(Status::conflict(
                &coracle_core::GroupResource::of::<K>(),
                &name_of(metadata),
                "it is no orphan",
            ));
        }
        let owners = metadata.owner_references.get_or_insert_default();
        owners.retain(|other| other.uid != reference.uid);
        owners.push(reference.clone());
        Ok(())
    };
    Request::edit_metadata(&place, edit).into()
}

fn release<K: Resource, O: Resource>(stray: &K, owner: &O) -> Wish {
    let owner = owner.metadata().uid.clone().unwrap_or_default();
    let uid = stray.metadata().uid.clone();
    let edit = move |metadata: &mut ObjectMeta| {
        if metadata.uid == uid {
            remove_owner(metadata, &owner);
        }
        Ok(())
    };
    Request::edit_metadata(&ObjectRef::of(stray), edit).into()
}

/// Takes out every reference to an owner; an empty list is left out altogether.
pub fn remove_owner(metadata: &mut ObjectMeta, uid: &str) {
    if let Some(owners) = &mut metadata.owner_references {
        owners.retain(|owner| owner.uid != uid);
        if owners.is_empty() {
            metadata.owner_references = None;
        }
    }
}

fn name_of(metadata: &ObjectMeta) -> String {
    metadata.name.clone().unwrap_or_default()
}
