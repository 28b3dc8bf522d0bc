//! Claims and volumes that are to be deleted go when nobody uses them. Source: `pkg/controller/volume/pvcprotection`,
//! `pkg/controller/volume/pvprotection`.

use coracle_core::volume::claims_of;
use coracle_core::{ObjectKey, ObjectRef, Request, Resource, World};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::plan::Plan;
use crate::planner::Planner;
use crate::watches::Watches;

/// Lets go of claims that no pod uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClaimProtection;

/// Lets go of volumes that no claim is bound to.
#[derive(Clone, Copy, Debug, Default)]
pub struct VolumeProtection;

impl Planner for ClaimProtection {
    type Kind = PersistentVolumeClaim;
    type Observed = bool;

    fn name(&self) -> &'static str {
        "pvc-protection-controller"
    }

    fn watches(&self, on: &mut Watches<PersistentVolumeClaim>) {
        on.map::<Pod>(|pod, _| {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or("");
            claims_of(pod).map(|(claim, _)| ObjectKey::new(namespace, &claim)).collect()
        });
    }

    /// Whether a pod uses it. One without a node does not: it could not start any more.
    fn observe(&self, claim: &PersistentVolumeClaim, world: &World) -> bool {
        let name = claim.metadata.name.as_deref().unwrap_or("");
        let mut pods = world.list_in::<Pod>(claim.metadata.namespace.as_deref().unwrap_or(""));
        is_held(&claim.metadata, "kubernetes.io/pvc-protection")
            && pods.any(|pod| is_running(&pod) && claims_of(&pod).any(|(used, _)| used == name))
    }

    fn plan(&self, claim: &PersistentVolumeClaim, used: bool, _now: Timestamp) -> Plan {
        let_go(claim, "kubernetes.io/pvc-protection", used)
    }
}

impl Planner for VolumeProtection {
    type Kind = PersistentVolume;
    type Observed = ();

    fn name(&self) -> &'static str {
        "pv-protection-controller"
    }

    fn observe(&self, _volume: &PersistentVolume, _world: &World) {}

    fn plan(&self, volume: &PersistentVolume, (): (), _now: Timestamp) -> Plan {
        let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
        let_go(volume, "kubernetes.io/pv-protection", phase == Some("Bound"))
    }
}

fn is_running(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("");
    !node.is_empty() && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether only this finalizer may be what keeps it.
fn is_held(metadata: &ObjectMeta, finalizer: &str) -> bool {
    let held = metadata.finalizers.iter().flatten().any(|held| held == finalizer);
    held && metadata.deletion_timestamp.is_some()
}

fn let_go<K: Resource>(object: &K, finalizer: &'static str, used: bool) -> Plan {
    let mut plan = Plan::nothing();
    if !used && is_held(object.metadata(), finalizer) {
        plan.then(Request::edit_metadata(&ObjectRef::of(object), move |metadata| {
            metadata.finalizers.iter_mut().for_each(|held| held.retain(|held| held != finalizer));
            Ok(())
        }));
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Small, ago};

    const CLAIM: &str = "{kind: PersistentVolumeClaim, metadata: {name: c, finalizers: [kubernetes.io/pvc-protection]}, spec: {}}\n---\n";

    fn pod(node: &str, phase: &str) -> String {
        format!(
            "{{kind: Pod, metadata: {{name: p}}, spec: {{nodeName: '{node}', containers: [], volumes: [{{name: v, \
             persistentVolumeClaim: {{claimName: c}}}}]}}, status: {{phase: {phase}}}}}\n---\n"
        )
    }

    #[track_caller]
    fn check(pod: &str, deleted: bool, expected: &str) {
        let mut small = Small::new(&(CLAIM.to_owned() + pod));
        if deleted {
            small.edit::<PersistentVolumeClaim>("c", |claim| claim.metadata.deletion_timestamp = Some(ago(1)));
        }
        let steps = small.step(&ClaimProtection, "c");
        assert_eq!(steps.lines().next().unwrap_or(""), expected);
    }

    #[test]
    fn a_claim_goes_when_no_running_pod_uses_it() {
        let goes = "edit persistentvolumeclaim default/c finalizers.0=-";
        check("", false, "");
        check("", true, goes);
        check(&pod("n", "Running"), true, "");
        check(&pod("n", "Failed"), true, goes);
        check(&pod("", "Pending"), true, goes);
    }
}
