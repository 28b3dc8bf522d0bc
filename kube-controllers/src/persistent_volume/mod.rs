//! Claims find volumes, volumes are for one claim, and volumes are made where none is there.
//!
//! | module | what it decides |
//! |---|---|
//! | `claim` | which volume a claim gets; when it is bound, waits or is lost |
//! | `volume` | whether a volume is available, bound or released, and when it goes |
//! | `ephemeral` | the claims that are made for a pod's own volumes |
//! | `provision` | the door to whoever makes volumes, and when it is asked |
//!
//! A binding is written in four steps, the volume's side first, so that each can be repeated by whoever looks next: the volume
//! names the claim, is `Bound`, the claim names the volume, is `Bound`. Source: `pkg/controller/volume/persistentvolume`.

mod claim;
mod ephemeral;
mod provision;
#[cfg(test)]
mod tests;
mod volume;

use std::collections::BTreeMap;

use coracle_core::Status;
use coracle_core::request::Target;
use coracle_core::{Request, Resource};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

pub use claim::ClaimBinding;
pub use ephemeral::EphemeralVolumes;
pub use provision::{Provisioner, Provisioning, Reclaiming, VolumeWish};
pub use volume::VolumeBinding;

/// Who reports.
const CONTROLLER: &str = "persistentvolume-controller";

fn annotate(annotations: &mut Option<BTreeMap<String, String>>, key: &str, value: &str) {
    annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
}

fn edit<K: Resource>(object: &K, edit: impl Fn(&mut K) + Send + Sync + 'static) -> Request {
    Request::edit(Target::of(object), move |object: &mut K| -> Result<(), Status> {
        edit(object);
        Ok(())
    })
}

fn volume_phase(volume: &PersistentVolume) -> &str {
    volume.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("")
}

fn set_volume_phase(volume: &PersistentVolume, phase: &'static str, message: &str, now: jiff::Timestamp) -> Request {
    let message = Some(message.to_owned()).filter(|message| !message.is_empty());
    let target = Target::of(volume).below("status");
    Request::edit(target, move |volume: &mut PersistentVolume| {
        let status = volume.status.get_or_insert_default();
        status.phase = Some(phase.to_owned());
        status.message.clone_from(&message);
        status.last_phase_transition_time = Some(coracle_core::time::whole_seconds(now));
        Ok(())
    })
}

fn claim_phase(claim: &PersistentVolumeClaim) -> &str {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("")
}

/// The class's policy and everything else of a volume names its claim as `namespace/name`.
fn place_of(claim: &PersistentVolumeClaim) -> String {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    format!("{}/{}", text(&claim.metadata.namespace), text(&claim.metadata.name))
}
