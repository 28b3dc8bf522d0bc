//! Which volume a claim gets. Source: `syncClaim`.

use std::sync::Arc;

use coracle_core::event::reference_to;
use coracle_core::request::Target;
use coracle_core::volume::{
    self, BIND_COMPLETED, BOUND_BY_CONTROLLER, PROVISIONER, best, claim_of, claims_of, class_of, is_for, selected_node,
    volume_of, waits_for_consumer,
};
use coracle_core::{GroupResource, Happening, ObjectKey, Request, Resource, Severity, Status, World};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;

use super::{CONTROLLER, annotate, claim_phase, edit, set_volume_phase, volume_phase};
use crate::plan::Plan;
use crate::planner::Planner;
use crate::pods;
use crate::watches::Watches;

/// Binds claims to volumes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClaimBinding;

/// What a claim's binding depends on.
#[derive(Debug)]
pub struct Observed {
    /// The volume that the claim names.
    named: Option<Arc<PersistentVolume>>,
    /// The best of all volumes, if the claim names none and need not wait.
    found: Option<Arc<PersistentVolume>>,
    class: Option<Arc<StorageClass>>,
    /// Waits for the node of its first pod.
    waits: bool,
    /// The pods that wait with it for a node.
    pods: Vec<String>,
}

impl Planner for ClaimBinding {
    type Kind = PersistentVolumeClaim;
    type Observed = Observed;

    fn name(&self) -> &'static str {
        CONTROLLER
    }

    fn watches(&self, on: &mut Watches<PersistentVolumeClaim>) {
        on.map::<PersistentVolume>(|volume, world| match claim_of(volume) {
            Some(claim) => {
                let text = |field: &Option<String>| field.clone().unwrap_or_default();
                vec![ObjectKey::new(&text(&claim.namespace), &text(&claim.name))]
            }
            None => unbound(world, |claim| {
                let named = volume_of(claim);
                named.is_empty() || Some(named) == volume.metadata.name.as_deref()
            }),
        });
        on.map::<Pod>(|pod, world| {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or("");
            let open = claims_of(pod).filter(|(claim, _)| {
                world.get::<PersistentVolumeClaim>(namespace, claim).is_some_and(|claim| !volume::is_bound(&claim))
            });
            open.map(|(claim, _)| ObjectKey::new(namespace, &claim)).collect()
        });
        on.map::<StorageClass>(|class, world| {
            unbound(world, |claim| Some(class_of(claim)) == class.metadata.name.as_deref())
        });
    }

    fn observe(&self, claim: &PersistentVolumeClaim, world: &World) -> Observed {
        let class = world.get::<StorageClass>("", class_of(claim));
        let named = Some(volume_of(claim)).filter(|name| !name.is_empty()).and_then(|name| world.get("", name));
        let waits = waits_for_consumer(class.as_deref()) && selected_node(claim).is_none();
        let found = volume_of(claim).is_empty().then(|| find(claim, waits, world)).flatten();
        let pods = if waits { unplaced_pods(claim, world) } else { Vec::new() };
        Observed { named, found, class, waits, pods }
    }

    fn plan(&self, claim: &PersistentVolumeClaim, observed: Observed, now: Timestamp) -> Plan {
        let completed = claim.metadata.annotations.iter().flatten().any(|(key, _)| key == BIND_COMPLETED);
        match (completed, volume_of(claim).is_empty()) {
            _ if claim.metadata.deletion_timestamp.is_some() && !completed => Plan::nothing(),
            (true, true) => lost(
                claim,
                "ClaimLost",
                "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!",
            ),
            (true, false) => keep(claim, observed.named.as_deref(), now),
            (false, true) => match observed.found {
                Some(volume) => bind(claim, &volume, now),
                None => wait_for_volume(claim, &observed),
            },
            (false, false) => bind_named(claim, observed.named.as_deref(), now),
        }
    }
}

/// The pods with this claim that have no node yet. Source: `findNonScheduledPodsByPVC`.
fn unplaced_pods(claim: &PersistentVolumeClaim, world: &World) -> Vec<String> {
    let name = claim.metadata.name.as_deref();
    let pods = world.list_in::<Pod>(claim.metadata.namespace.as_deref().unwrap_or(""));
    let unplaced = pods.filter(|pod| pods::node_name(pod).is_empty() && !pods::is_terminal(pod));
    let with_it = unplaced.filter(|pod| claims_of(pod).any(|(used, _)| Some(used.as_str()) == name));
    with_it.filter_map(|pod| pod.metadata.name.clone()).collect()
}

/// Pre-bound volumes do at once; others only if the claim need not wait for a node.
fn find(claim: &PersistentVolumeClaim, waits: bool, world: &World) -> Option<Arc<PersistentVolume>> {
    let node = selected_node(claim).and_then(|name| world.get::<Node>("", name));
    let volumes: Vec<_> = world.list::<PersistentVolume>().collect();
    let candidates = volumes.iter().filter(|volume| !waits || claim_of(volume).is_some());
    let found = best(claim, candidates.map(|volume| &**volume), node.as_deref())?;
    volumes.iter().find(|volume| std::ptr::eq(&***volume, found)).cloned()
}

fn unbound(world: &World, wanted: impl Fn(&PersistentVolumeClaim) -> bool) -> Vec<ObjectKey> {
    let claims = world.list::<PersistentVolumeClaim>();
    let open = claims.filter(|claim| !volume::is_bound(claim) && wanted(claim));
    open.map(|claim| ObjectKey::of(&claim.metadata)).collect()
}

/// The claim was bound before: its volume must still be there, and be its own.
fn keep(claim: &PersistentVolumeClaim, named: Option<&PersistentVolume>, now: Timestamp) -> Plan {
    let Some(volume) = named else {
        return lost(claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!");
    };
    match claim_of(volume) {
        Some(reference) if reference.uid.as_deref() != claim.metadata.uid.as_deref() => {
            lost(claim, "ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")
        }
        _ => bind(claim, volume, now),
    }
}

/// A person named the volume, or a former step of a binding did.
fn bind_named(claim: &PersistentVolumeClaim, named: Option<&PersistentVolume>, now: Timestamp) -> Plan {
    let Some(volume) = named else { return pending(claim, None) };
    let name = volume_of(claim);
    match claim_of(volume) {
        Some(reference) if is_for(reference, claim) => bind(claim, volume, now),
        Some(_) => {
            let note = format!("volume {name:?} already bound to a different claim.");
            pending(claim, Some(event(claim, Severity::Warning, "FailedBinding", note)))
        }
        None => match satisfies(volume, claim) {
            Ok(()) => bind(claim, volume, now),
            Err(why) => {
                let note = format!("Cannot bind to requested volume {name:?}: {why}");
                pending(claim, Some(event(claim, Severity::Warning, "VolumeMismatch", note)))
            }
        },
    }
}

fn satisfies(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Result<(), String> {
    if volume.metadata.deletion_timestamp.is_some() {
        let name = volume.metadata.name.as_deref().unwrap_or("");
        return Err(format!("the volume is marked for deletion {name:?}"));
    }
    volume::satisfies(volume, claim).map_err(str::to_owned)
}

/// No volume will do: says for what the claim waits.
fn wait_for_volume(claim: &PersistentVolumeClaim, observed: &Observed) -> Plan {
    let tell = |severity, reason, note: String| pending(claim, Some(event(claim, severity, reason, note)));
    let class_name = class_of(claim);
    if observed.waits {
        let note = match observed.pods.as_slice() {
            [] => "waiting for first consumer to be created before binding".to_owned(),
            [one] => format!("waiting for pod {one} to be scheduled"),
            all => format!("waiting for pods {} to be scheduled", all.join(",")),
        };
        let reason = if observed.pods.is_empty() { "WaitForFirstConsumer" } else { "WaitForPodScheduled" };
        return tell(Severity::Normal, reason, note);
    }
    if class_name.is_empty() {
        let note = "no persistent volumes available for this claim and no storage class is set".to_owned();
        return tell(Severity::Normal, "FailedBinding", note);
    }
    let Some(class) = &observed.class else {
        let note = format!("storageclass.storage.k8s.io {class_name:?} not found");
        return tell(Severity::Warning, "ProvisioningFailed", note);
    };
    // Names of this prefix were once parts of Kubernetes itself; nobody else may answer to them.
    if class.provisioner.starts_with("kubernetes.io/") {
        let note = format!("no volume plugin matched name: {}", class.provisioner);
        return tell(Severity::Warning, "ProvisioningFailed", note);
    }
    let provisioner = class.provisioner.clone();
    let known = claim.metadata.annotations.as_ref().and_then(|annotations| annotations.get(PROVISIONER));
    if known == Some(&provisioner) {
        return pending(claim, None);
    }
    let note = format!(
        "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system \
         administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
    );
    let mut plan = pending(claim, Some(event(claim, Severity::Normal, "ExternalProvisioning", note)));
    plan.then(edit(claim, move |claim: &mut PersistentVolumeClaim| {
        annotate(&mut claim.metadata.annotations, PROVISIONER, &provisioner);
        annotate(&mut claim.metadata.annotations, "volume.beta.kubernetes.io/storage-provisioner", &provisioner);
    }));
    plan
}

/// Whatever is missing of a binding. Source: `bind`.
fn bind(claim: &PersistentVolumeClaim, volume: &PersistentVolume, now: Timestamp) -> Plan {
    let mut plan = Plan::nothing();
    if claim_of(volume).is_none_or(|reference| reference.uid.as_deref().is_none_or(str::is_empty)) {
        plan.then(claim_volume(claim, volume));
    }
    if volume_phase(volume) != "Bound" {
        plan.then(set_volume_phase(volume, "Bound", "", now));
    }
    if !volume::is_bound(claim) {
        let name = volume.metadata.name.clone().unwrap_or_default();
        plan.then(edit(claim, move |claim: &mut PersistentVolumeClaim| {
            if volume_of(claim).is_empty() {
                claim.spec.get_or_insert_default().volume_name = Some(name.clone());
                annotate(&mut claim.metadata.annotations, BOUND_BY_CONTROLLER, "yes");
            }
            annotate(&mut claim.metadata.annotations, BIND_COMPLETED, "yes");
        }));
    }
    if claim_phase(claim) != "Bound" {
        let spec = volume.spec.clone().unwrap_or_default();
        let target = Target::of(claim).below("status");
        plan.then(Request::edit(target, move |claim: &mut PersistentVolumeClaim| {
            let status = claim.status.get_or_insert_default();
            status.phase = Some("Bound".to_owned());
            status.access_modes.clone_from(&spec.access_modes);
            status.capacity.clone_from(&spec.capacity);
            Ok(())
        }));
    }
    plan
}

/// The volume's side of a binding. Whoever comes second is refused, and looks for another volume.
fn claim_volume(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Request {
    let reference = reference_to(claim);
    Request::edit(Target::of(volume), move |volume: &mut PersistentVolume| {
        let name = volume.metadata.name.clone().unwrap_or_default();
        let spec = volume.spec.get_or_insert_default();
        let other = |held: &&k8s_openapi::api::core::v1::ObjectReference| {
            held.name != reference.name
                || held.namespace != reference.namespace
                || held.uid.as_deref().is_some_and(|uid| !uid.is_empty() && Some(uid) != reference.uid.as_deref())
        };
        if spec.claim_ref.as_ref().filter(other).is_some() {
            let resource = GroupResource::of::<PersistentVolume>();
            return Err(Status::conflict(&resource, &name, "another claim was faster"));
        }
        if spec.claim_ref.is_none() {
            annotate(&mut volume.metadata.annotations, BOUND_BY_CONTROLLER, "yes");
        }
        spec.claim_ref = Some(reference.clone());
        Ok(())
    })
}

fn pending(claim: &PersistentVolumeClaim, told: Option<Happening>) -> Plan {
    let mut plan = Plan::nothing();
    if let Some(happening) = told {
        plan.tell(happening);
    }
    if claim_phase(claim) != "Pending" {
        plan.then(set_phase(claim, "Pending"));
    }
    plan
}

fn lost(claim: &PersistentVolumeClaim, reason: &'static str, note: &str) -> Plan {
    let mut plan = Plan::nothing();
    if claim_phase(claim) != "Lost" {
        plan.then(set_phase(claim, "Lost"));
        plan.tell(event(claim, Severity::Warning, reason, note.to_owned()));
    }
    plan
}

fn set_phase(claim: &PersistentVolumeClaim, phase: &'static str) -> Request {
    Request::edit(Target::of(claim).below("status"), move |claim: &mut PersistentVolumeClaim| {
        let status = claim.status.get_or_insert_default();
        status.phase = Some(phase.to_owned());
        (status.access_modes, status.capacity) = (None, None);
        Ok(())
    })
}

fn event<K: Resource>(object: &K, severity: Severity, reason: &'static str, note: String) -> Happening {
    Happening::new(CONTROLLER, object, severity, reason, note)
}
