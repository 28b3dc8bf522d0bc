//! What becomes of a volume with its claim. Source: `syncVolume`.

use std::sync::Arc;

use coracle_core::volume::{BOUND_BY_CONTROLLER, PROVISIONED_BY, claim_of, is_of_mode, volume_of};
use coracle_core::{Happening, ObjectKey, Severity, World};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{CONTROLLER, edit, set_volume_phase, volume_phase};
use crate::plan::Plan;
use crate::planner::Planner;
use crate::watches::Watches;

/// Says whether volumes are available, bound or released.
#[derive(Clone, Copy, Debug, Default)]
pub struct VolumeBinding;

impl Planner for VolumeBinding {
    type Kind = PersistentVolume;
    type Observed = Option<Arc<PersistentVolumeClaim>>;

    fn name(&self) -> &'static str {
        "persistentvolume-phase-controller"
    }

    fn watches(&self, on: &mut Watches<PersistentVolume>) {
        on.changes::<PersistentVolumeClaim>(|event, world| {
            let Some(claim) = event.object.get::<PersistentVolumeClaim>() else { return Vec::new() };
            let named = Some(volume_of(claim)).filter(|name| !name.is_empty());
            match named {
                Some(name) => vec![ObjectKey::new("", name)],
                // Its volume may have heard of it already.
                None if event.deleted => {
                    let of_it = |volume: &Arc<PersistentVolume>| {
                        claim_of(volume).is_some_and(|held| held.uid.is_some() && held.uid == claim.metadata.uid)
                    };
                    let volumes = world.list::<PersistentVolume>().filter(of_it);
                    volumes.map(|volume| ObjectKey::of(&volume.metadata)).collect()
                }
                None => Vec::new(),
            }
        });
    }

    /// The claim it is for, if that still exists.
    fn observe(&self, volume: &PersistentVolume, world: &World) -> Option<Arc<PersistentVolumeClaim>> {
        let reference = claim_of(volume)?;
        let (namespace, name) = (reference.namespace.as_deref()?, reference.name.as_deref()?);
        let claim = world.get::<PersistentVolumeClaim>(namespace, name)?;
        (claim.metadata.uid == reference.uid).then_some(claim)
    }

    fn plan(&self, volume: &PersistentVolume, claim: Option<Arc<PersistentVolumeClaim>>, now: Timestamp) -> Plan {
        let uid = claim_of(volume).and_then(|reference| reference.uid.as_deref()).unwrap_or("");
        let mut plan = Plan::nothing();
        match claim {
            _ if uid.is_empty() => set(&mut plan, volume, "Available", now),
            None => release(&mut plan, volume, now),
            Some(claim) if Some(volume_of(&claim)) == volume.metadata.name.as_deref() => {
                set(&mut plan, volume, "Bound", now);
            }
            Some(claim) if volume_of(&claim).is_empty() && !is_of_mode(volume, &claim) => {
                mismatch(&mut plan, volume, &claim)
            }
            // The claim's own planner finishes the binding.
            Some(claim) if volume_of(&claim).is_empty() => {}
            Some(_) => unbind(&mut plan, volume, now),
        }
        plan
    }
}

/// They were meant for each other, and cannot be.
fn mismatch(plan: &mut Plan, volume: &PersistentVolume, claim: &PersistentVolumeClaim) {
    let name = |metadata: &ObjectMeta| metadata.name.clone().unwrap_or_default();
    let [this, that] = [name(&volume.metadata), name(&claim.metadata)];
    let why = "due to incompatible volumeMode.";
    let note = format!("Cannot bind PersistentVolume to requested PersistentVolumeClaim {that:?} {why}");
    plan.tell(Happening::new(CONTROLLER, volume, Severity::Warning, "VolumeMismatch", note));
    let note = format!("Cannot bind PersistentVolume {this:?} to requested PersistentVolumeClaim {why}");
    plan.tell(Happening::new(CONTROLLER, claim, Severity::Warning, "VolumeMismatch", note));
}

fn set(plan: &mut Plan, volume: &PersistentVolume, phase: &'static str, now: Timestamp) {
    if volume_phase(volume) != phase {
        plan.then(set_volume_phase(volume, phase, "", now));
    }
}

fn policy(volume: &PersistentVolume) -> &str {
    let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    policy.unwrap_or("Retain")
}

/// Its claim is gone. Who made it removes it; of one that a person made, nobody knows how.
fn release(plan: &mut Plan, volume: &PersistentVolume, now: Timestamp) {
    let made = volume.metadata.annotations.iter().flatten().any(|(key, _)| key == PROVISIONED_BY);
    let name = volume.metadata.name.as_deref().unwrap_or("");
    match policy(volume) {
        _ if volume_phase(volume) == "Failed" => {}
        "Delete" if !made => {
            let why =
                format!("error getting deleter volume plugin for volume {name:?}: no deletable volume plugin matched");
            fail(plan, volume, "VolumeFailedDelete", why, now);
        }
        "Recycle" => fail(plan, volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!".into(), now),
        _ => set(plan, volume, "Released", now),
    }
}

fn fail(plan: &mut Plan, volume: &PersistentVolume, reason: &'static str, why: String, now: Timestamp) {
    plan.then(set_volume_phase(volume, "Failed", &why, now));
    plan.tell(Happening::new(CONTROLLER, volume, Severity::Warning, reason, why));
}

/// Its claim has another volume. What was made for that claim goes; others are free again.
fn unbind(plan: &mut Plan, volume: &PersistentVolume, now: Timestamp) {
    let has = |key: &str| volume.metadata.annotations.iter().flatten().any(|(known, _)| known == key);
    if has(PROVISIONED_BY) && policy(volume) == "Delete" {
        return set(plan, volume, "Released", now);
    }
    let by_controller = has(BOUND_BY_CONTROLLER);
    plan.then(edit(volume, move |volume: &mut PersistentVolume| {
        let Some(spec) = &mut volume.spec else { return };
        if by_controller {
            spec.claim_ref = None;
            volume.metadata.annotations.iter_mut().for_each(|known| drop(known.remove(BOUND_BY_CONTROLLER)));
        } else if let Some(reference) = &mut spec.claim_ref {
            reference.uid = None;
        }
    }));
    set(plan, volume, "Available", now);
}
