//! Claims that live and die with a pod: one for each of its ephemeral volumes. Source: `pkg/controller/volume/ephemeral`.

use std::sync::Arc;

use coracle_core::object::Object;
use coracle_core::volume::{claim_name, claims_of, is_made_for};
use coracle_core::{Happening, ObjectKey, Request, Severity, World};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::ownership::controller_reference;
use crate::plan::{Announcement, Plan, Wish};
use crate::planner::Planner;
use crate::watches::Watches;

/// Who reports. Source: the controller's event recorder.
const REPORTER: &str = "ephemeral_volume";

/// Makes the claims of ephemeral volumes.
#[derive(Clone, Copy, Debug, Default)]
pub struct EphemeralVolumes;

impl Planner for EphemeralVolumes {
    type Kind = Pod;
    type Observed = Vec<Option<Arc<PersistentVolumeClaim>>>;

    fn name(&self) -> &'static str {
        "ephemeral-volume-controller"
    }

    fn watches(&self, on: &mut Watches<Pod>) {
        on.only(|before, pod| before.is_none() && has_some(pod));
        // A claim that somebody deletes is made again.
        on.changes::<PersistentVolumeClaim>(
            |event, world| {
                if event.deleted { users(&event.object, world) } else { Vec::new() }
            },
        );
    }

    /// The claim of each ephemeral volume, as far as there are any.
    fn observe(&self, pod: &Pod, world: &World) -> Self::Observed {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or("");
        ephemeral(pod).map(|volume| world.get(namespace, &claim_name(pod, volume)?)).collect()
    }

    fn plan(&self, pod: &Pod, claims: Self::Observed, _now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        if pod.metadata.deletion_timestamp.is_some() {
            return plan;
        }
        for (volume, claim) in ephemeral(pod).zip(claims) {
            let say = |why: &str| format!("ephemeral volume {}: {why}", volume.name);
            match claim.map(|claim| is_made_for(&claim, pod)) {
                Some(Ok(())) => {}
                // The first trouble ends the round, as it does upstream.
                Some(Err(why)) => {
                    plan.tell(Happening::new(REPORTER, pod, Severity::Warning, "FailedBinding", say(&why)));
                    return plan;
                }
                None => {
                    let claim = made_for(pod, volume);
                    let why = say(&format!("create PVC {}: {{}}", claim.metadata.name.as_deref().unwrap_or("")));
                    let told = Announcement::about(REPORTER, pod).failed("FailedBinding", why);
                    plan.then(Wish::from(Request::create(claim)).announced(told));
                }
            }
        }
        plan
    }
}

fn ephemeral(pod: &Pod) -> impl Iterator<Item = &Volume> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter(|volume| volume.ephemeral.is_some())
}

fn has_some(pod: &Pod) -> bool {
    ephemeral(pod).next().is_some()
}

/// The pods that have an ephemeral volume of this claim's name.
fn users(claim: &Object, world: &World) -> Vec<ObjectKey> {
    let key = claim.key();
    let pods = world.list_in::<Pod>(key.namespace());
    let users = pods.filter(|pod| claims_of(pod).any(|(name, ephemeral)| ephemeral && name == key.name()));
    users.map(|pod| ObjectKey::of(&pod.metadata)).collect()
}

fn made_for(pod: &Pod, volume: &Volume) -> PersistentVolumeClaim {
    let template =
        volume.ephemeral.as_ref().and_then(|source| source.volume_claim_template.clone()).unwrap_or_default();
    let asked = template.metadata.unwrap_or_default();
    let metadata = ObjectMeta {
        name: claim_name(pod, volume),
        namespace: pod.metadata.namespace.clone(),
        owner_references: Some(vec![controller_reference(pod)]),
        labels: asked.labels,
        annotations: asked.annotations,
        ..ObjectMeta::default()
    };
    PersistentVolumeClaim { metadata, spec: Some(template.spec), ..PersistentVolumeClaim::default() }
}
