//! Which volumes a claim accepts, and which nodes a volume is for. Asked by whoever binds claims and by the scheduler.
//! Source: `component-helpers/storage/volume`.

use k8s_openapi::api::core::v1::{Node, ObjectReference, PersistentVolume, PersistentVolumeClaim, Pod, Volume};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::placement;
use crate::quantity::{Quantity, QuantityText};
use crate::selector::Selector;

/// On a claim: it was bound to its volume once, so that an absent volume is a lost one.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// On claims and volumes: the other side was chosen by the controller, not by people.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// On a claim: the node that the scheduler chose for its first pod.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// On a volume: who made it, and so who removes it.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// On a claim: who is to make a volume for it.
pub const PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
/// The provisioner of classes whose volumes people make.
pub const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";
/// What claims ask for and volumes have.
pub const STORAGE: &str = "storage";

/// The storage that a claim asks for.
#[must_use]
pub fn requested(claim: &PersistentVolumeClaim) -> Quantity {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    amount(resources.and_then(|resources| resources.requests.as_ref()?.get(STORAGE)))
}

/// The storage that a volume has.
#[must_use]
pub fn capacity(volume: &PersistentVolume) -> Quantity {
    amount(volume.spec.as_ref().and_then(|spec| spec.capacity.as_ref()?.get(STORAGE)))
}

/// The name of a claim's class; empty for none.
#[must_use]
pub fn class_of(claim: &PersistentVolumeClaim) -> &str {
    claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref()).unwrap_or("")
}

/// The name of the volume that a claim asks for or has; empty for none.
#[must_use]
pub fn volume_of(claim: &PersistentVolumeClaim) -> &str {
    claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or("")
}

/// The claim of a pod's volume: the one it names, or the one that is made for it. Source: `ephemeral.VolumeClaimName`.
#[must_use]
pub fn claim_name(pod: &Pod, volume: &Volume) -> Option<String> {
    let named = volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.clone());
    let pod = pod.metadata.name.as_deref().unwrap_or("");
    named.or_else(|| volume.ephemeral.as_ref().map(|_| format!("{pod}-{}", volume.name)))
}

/// The claims that a pod names, or that are made for it, and whether they are made for it.
pub fn claims_of(pod: &Pod) -> impl Iterator<Item = (String, bool)> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(|volume| Some((claim_name(pod, volume)?, volume.ephemeral.is_some())))
}

/// Whether a claim of the name that a pod's ephemeral volume asks for is really the pod's.
///
/// # Errors
/// That it is not, in upstream's words. Source: `ephemeral.VolumeIsForPod`.
pub fn is_made_for(claim: &PersistentVolumeClaim, pod: &Pod) -> Result<(), String> {
    let owner = crate::object::controller_of(&claim.metadata);
    if owner.is_some_and(|owner| Some(&owner.uid) == pod.metadata.uid.as_ref()) {
        return Ok(());
    }
    let place = |metadata: &ObjectMeta| {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        format!("{}/{}", text(&metadata.namespace), text(&metadata.name))
    };
    let (claim, pod) = (place(&claim.metadata), place(&pod.metadata));
    Err(format!("PVC {claim} was not created for pod {pod} (pod is not owner)"))
}

/// The claim that a volume is for.
#[must_use]
pub fn claim_of(volume: &PersistentVolume) -> Option<&ObjectReference> {
    volume.spec.as_ref()?.claim_ref.as_ref()
}

/// The node that was chosen for a claim, if any.
#[must_use]
pub fn selected_node(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.metadata.annotations.as_ref()?.get(SELECTED_NODE).map(String::as_str).filter(|node| !node.is_empty())
}

/// Whether claims of a class wait for their first pod's node.
#[must_use]
pub fn waits_for_consumer(class: Option<&StorageClass>) -> bool {
    class.and_then(|class| class.volume_binding_mode.as_deref()) == Some("WaitForFirstConsumer")
}

/// Whether the claim of this reference is this claim; a reference without uid is for any claim of the name.
#[must_use]
pub fn is_for(reference: &ObjectReference, claim: &PersistentVolumeClaim) -> bool {
    let uid = reference.uid.as_deref().unwrap_or("");
    reference.name == claim.metadata.name
        && reference.namespace == claim.metadata.namespace
        && (uid.is_empty() || Some(uid) == claim.metadata.uid.as_deref())
}

/// Whether a claim is bound for good, both ways as far as the claim can tell.
#[must_use]
pub fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    let completed = claim.metadata.annotations.iter().flatten().any(|(key, _)| key == BIND_COMPLETED);
    completed && !volume_of(claim).is_empty()
}

/// Why a volume that a claim names does not do for it, in upstream's words.
///
/// # Errors
/// The first thing that does not match. Source: `CheckVolumeSatisfyClaim`.
pub fn satisfies(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Result<(), &'static str> {
    if capacity(volume) < requested(claim) {
        return Err("requested PV is too small");
    }
    if class_of_volume(volume) != class_of(claim) {
        return Err("storageClassName does not match");
    }
    let offered = volume.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.as_deref());
    let asked = claim.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.as_deref());
    if offered.unwrap_or("") != asked.unwrap_or("") {
        return Err("volumeAttributesClassName does not match");
    }
    if !is_of_mode(volume, claim) {
        return Err("incompatible volumeMode");
    }
    if !offers_access(volume, claim) {
        return Err("incompatible accessMode");
    }
    Ok(())
}

/// Whether a volume is a file system or a device as a claim asks. Source: `CheckVolumeModeMismatches`.
#[must_use]
pub fn is_of_mode(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let offered = volume.spec.as_ref().and_then(|spec| spec.volume_mode.as_deref());
    mode(offered) == mode(claim.spec.as_ref().and_then(|spec| spec.volume_mode.as_deref()))
}

/// The volume that is best for a claim: one that is already for it, else the smallest that will do, on `node` if one is
/// given. Source: `FindMatchingVolume`.
pub fn best<'v>(
    claim: &PersistentVolumeClaim,
    volumes: impl Iterator<Item = &'v PersistentVolume>,
    node: Option<&Node>,
) -> Option<&'v PersistentVolume> {
    let selector = claim.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let selector = selector.map(|labels| Selector::from_label_selector(Some(labels))).transpose().ok()?;
    let chosen = |volume: &PersistentVolume| {
        selector.as_ref().is_none_or(|selector| selector.matches(&volume.metadata.labels.clone().unwrap_or_default()))
    };
    let (mut prepared, mut smallest): (_, Option<&PersistentVolume>) = (None, None);
    for volume in volumes.filter(|volume| volume.metadata.deletion_timestamp.is_none()) {
        if satisfies(volume, claim).is_err() || node.is_some_and(|node| !is_on(volume, node)) {
            continue;
        }
        match claim_of(volume) {
            Some(reference) if is_for(reference, claim) => prepared = Some(volume),
            None if is_available(volume) && chosen(volume) => {
                let better = smallest.is_none_or(|best| {
                    (capacity(volume), &volume.metadata.name) < (capacity(best), &best.metadata.name)
                });
                smallest = if better { Some(volume) } else { smallest };
            }
            _ => {}
        }
    }
    prepared.or(smallest)
}

/// Whether a volume can be used on a node.
#[must_use]
pub fn is_on(volume: &PersistentVolume, node: &Node) -> bool {
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
    let Some(required) = affinity.and_then(|affinity| affinity.required.as_ref()) else { return true };
    let label = |key: &str| node.metadata.labels.as_ref()?.get(key).map(String::as_str);
    let name = node.metadata.name.as_deref().unwrap_or("");
    required.node_selector_terms.iter().any(|term| placement::chooses(term, name, &label))
}

/// Whether a class allows volumes for a node. Source: core/v1 StorageClass.allowedTopologies.
#[must_use]
pub fn allows(class: &StorageClass, node: &Node) -> bool {
    let terms = class.allowed_topologies.as_deref().unwrap_or_default();
    let label = |key: &str| node.metadata.labels.as_ref()?.get(key);
    terms.is_empty()
        || terms.iter().any(|term| {
            let mut expressions = term.match_label_expressions.iter().flatten();
            expressions.all(|expression| label(&expression.key).is_some_and(|value| expression.values.contains(value)))
        })
}

fn amount(text: Option<&QuantityText>) -> Quantity {
    text.and_then(|text| Quantity::try_from(text).ok()).unwrap_or_default()
}

fn class_of_volume(volume: &PersistentVolume) -> &str {
    volume.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref()).unwrap_or("")
}

fn mode(given: Option<&str>) -> &str {
    given.unwrap_or("Filesystem")
}

fn is_available(volume: &PersistentVolume) -> bool {
    let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, None | Some("" | "Pending" | "Available"))
}

fn offers_access(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let offered = volume.spec.as_ref().and_then(|spec| spec.access_modes.as_deref()).unwrap_or_default();
    let mut asked = claim.spec.iter().flat_map(|spec| spec.access_modes.iter().flatten());
    asked.all(|mode| offered.contains(mode))
}
