//! Plugins VolumeBinding, VolumeZone and VolumeRestrictions: a pod goes where its volumes are, or can be.
//!
//! A pod whose claims wait for a node is placed first; the driver then notes the node on the claims, and the pod waits until they
//! are bound. Placing it again finds the same node, since the claims or their volumes name it by then.

use std::sync::Arc;

use coracle_core::volume::{self, NO_PROVISIONER, selected_node, volume_of, waits_for_consumer};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;

use crate::pod::PodInfo;
use crate::snapshot::{NodeInfo, Snapshot};
use crate::verdict::{Reason, Rejection};

/// The name of plugin VolumeBinding.
pub const BINDING: &str = "VolumeBinding";
pub(super) const ZONE: &str = "VolumeZone";
pub(super) const RESTRICTIONS: &str = "VolumeRestrictions";

const UNBOUND: &str = "pod has unbound immediate PersistentVolumeClaims";
const NO_VOLUME: &str = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
const ELSEWHERE: &str = "node(s) didn't match PersistentVolume's node affinity";
const NOT_FOUND: &str = "node(s) didn't find available persistent volumes to bind";
const OTHER_ZONE: &str = "node(s) had no available volume zone";
const IN_USE: &str = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";

/// Labels of volumes that nodes must share; a volume in several zones lists them as `a__b`.
const ZONES: [&str; 4] = [
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
];

/// What the volumes of a pod ask of nodes.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    bound: Vec<Arc<PersistentVolume>>,
    /// Claims that get a volume where the pod goes.
    open: Vec<Open>,
    /// What open claims may choose from.
    unclaimed: Vec<Arc<PersistentVolume>>,
    in_use: bool,
    /// Why no node will do.
    refusal: Option<Reason>,
}

#[derive(Debug)]
struct Open {
    claim: Arc<PersistentVolumeClaim>,
    class: Arc<StorageClass>,
    /// The node that somebody is making a volume for.
    chosen: Option<Arc<str>>,
}

impl Volumes {
    /// `None` if the pod has no claims.
    pub(super) fn prepare(pod: &PodInfo, cluster: &Snapshot, gone: &dyn Fn(&PodInfo) -> bool) -> Option<Self> {
        claims(&pod.pod).next()?;
        let mut volumes = Self::default();
        for name in claims(&pod.pod) {
            if let Err(reason) = volumes.add(pod.namespace(), &name, cluster) {
                volumes.refusal.get_or_insert(reason);
            }
            volumes.in_use |= is_exclusive(pod.namespace(), &name, cluster) && is_used(pod, &name, cluster, gone);
        }
        if !volumes.open.is_empty() {
            volumes.unclaimed = cluster.storage().volumes().cloned().collect();
        }
        Some(volumes)
    }

    fn add(&mut self, namespace: &str, name: &str, cluster: &Snapshot) -> Result<(), Reason> {
        let custom = |text: String| Reason::Custom(text.into());
        let storage = cluster.storage();
        let Some(claim) = storage.claim(namespace, name) else {
            return Err(custom(format!("persistentvolumeclaim {name:?} not found")));
        };
        if claim.metadata.deletion_timestamp.is_some() {
            return Err(custom(format!("persistentvolumeclaim {name:?} is being deleted")));
        }
        if claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Lost") {
            let volume = volume_of(claim);
            let text = format!("persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}");
            return Err(custom(text));
        }
        if volume::is_bound(claim) {
            self.bound.push(storage.volume(volume_of(claim)).ok_or(Reason::Text(NO_VOLUME))?.clone());
            return Ok(());
        }
        match storage.class(volume::class_of(claim)).filter(|class| waits_for_consumer(Some(class))) {
            Some(class) if volume_of(claim).is_empty() => {
                let chosen = selected_node(claim).filter(|_| class.provisioner != NO_PROVISIONER);
                let node = chosen.and_then(|name| cluster.node(cluster.index_of(name)?));
                let chosen = node.map(|node| node.name().clone());
                self.open.push(Open { claim: claim.clone(), class: class.clone(), chosen });
            }
            _ => return Err(Reason::Text(UNBOUND)),
        }
        Ok(())
    }

    /// Why the pod can go nowhere, if so.
    pub(super) fn refusal(&self) -> Option<&Reason> {
        self.refusal.as_ref()
    }

    pub(super) fn check(&self, node: &NodeInfo) -> Result<(), Rejection> {
        if let Some(reason) = &self.refusal {
            return Err(Rejection {
                plugin: BINDING,
                reasons: [reason.clone()].into_iter().collect(),
                resolvable: false,
            });
        }
        if self.in_use {
            return Err(Rejection::for_now(RESTRICTIONS, IN_USE));
        }
        let Some(object) = node.object() else { return Ok(()) };
        if !self.bound.iter().all(|volume| volume::is_on(volume, object)) {
            return Err(Rejection::for_good(BINDING, ELSEWHERE));
        }
        if !self.bound.iter().all(|volume| shares_zone(volume, node)) {
            return Err(Rejection::for_good(ZONE, OTHER_ZONE));
        }
        let unclaimed = || self.unclaimed.iter().map(|volume| &**volume);
        let can_have = |Open { claim, class, chosen }: &Open| match chosen {
            Some(chosen) => chosen == node.name(),
            None if class.provisioner != NO_PROVISIONER && volume::allows(class, object) => true,
            None => volume::best(claim, unclaimed(), Some(object)).is_some(),
        };
        if self.open.iter().all(can_have) { Ok(()) } else { Err(Rejection::for_good(BINDING, NOT_FOUND)) }
    }
}

/// The claims of a pod that wait to be bound.
#[must_use]
pub fn open_claims(pod: &PodInfo, cluster: &Snapshot) -> Vec<Arc<PersistentVolumeClaim>> {
    let found = claims(&pod.pod).filter_map(|name| cluster.storage().claim(pod.namespace(), &name));
    found.filter(|claim| !volume::is_bound(claim)).cloned().collect()
}

/// The claims that a pod names.
fn claims(pod: &Pod) -> impl Iterator<Item = String> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(|volume| {
        let pod = pod.metadata.name.as_deref().unwrap_or("");
        let named = volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.clone());
        named.or_else(|| volume.ephemeral.as_ref().map(|_| format!("{pod}-{}", volume.name)))
    })
}

fn is_exclusive(namespace: &str, name: &str, cluster: &Snapshot) -> bool {
    let claim = cluster.storage().claim(namespace, name);
    let modes = claim.and_then(|claim| claim.spec.as_ref()?.access_modes.as_deref()).unwrap_or_default();
    modes.iter().any(|mode| mode == "ReadWriteOncePod")
}

/// Whether another placed pod has the claim.
fn is_used(pod: &PodInfo, name: &str, cluster: &Snapshot, gone: &dyn Fn(&PodInfo) -> bool) -> bool {
    let mut placed = cluster.nodes().flat_map(|(_, node)| node.pods());
    placed.any(|other| {
        other.namespace() == pod.namespace()
            && other.id() != pod.id()
            && !gone(other)
            && claims(&other.pod).any(|claim| claim == name)
    })
}

fn shares_zone(volume: &PersistentVolume, node: &NodeInfo) -> bool {
    let labels = volume.metadata.labels.iter().flatten().filter(|(key, _)| ZONES.contains(&key.as_str()));
    labels.into_iter().all(|(key, zones)| {
        let zone = node.labels().get(key);
        zone.is_some_and(|zone| zones.split("__").any(|one| one == zone))
    })
}
