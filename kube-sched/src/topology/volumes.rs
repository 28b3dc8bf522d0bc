//! Plugins VolumeBinding, VolumeZone and VolumeRestrictions: a pod goes where its volumes are, or can be.
//!
//! A pod whose claims wait for a node is placed first; the driver then notes the node on the claims, and the pod waits until they
//! are bound. Placing it again finds the same node, since the claims or their volumes name it by then.

use std::sync::Arc;

use coracle_core::volume::{self, NO_PROVISIONER, claims_of, selected_node, volume_of, waits_for_consumer};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
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
        claims_of(&pod.pod).next()?;
        let mut volumes = Self::default();
        for (name, ephemeral) in claims_of(&pod.pod) {
            if let Err(reason) = volumes.add(pod, &name, ephemeral, cluster) {
                volumes.refusal.get_or_insert(reason);
            }
            volumes.in_use |= is_exclusive(pod.namespace(), &name, cluster) && is_used(pod, &name, cluster, gone);
        }
        if !volumes.open.is_empty() {
            volumes.unclaimed = cluster.storage().volumes().cloned().collect();
        }
        Some(volumes)
    }

    fn add(&mut self, pod: &PodInfo, name: &str, ephemeral: bool, cluster: &Snapshot) -> Result<(), Reason> {
        let custom = |text: String| Reason::Custom(text.into());
        let storage = cluster.storage();
        let Some(claim) = storage.claim(pod.namespace(), name) else {
            let waits = "waiting for ephemeral volume controller to create the persistentvolumeclaim";
            return Err(custom(match ephemeral {
                true => format!("{waits} {name:?}"),
                false => format!("persistentvolumeclaim {name:?} not found"),
            }));
        };
        if claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Lost") {
            let volume = volume_of(claim);
            let text = format!("persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}");
            return Err(custom(text));
        }
        if claim.metadata.deletion_timestamp.is_some() {
            return Err(custom(format!("persistentvolumeclaim {name:?} is being deleted")));
        }
        if ephemeral {
            volume::is_made_for(claim, &pod.pod).map_err(custom)?;
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
    let found = claims_of(&pod.pod).filter_map(|(name, _)| cluster.storage().claim(pod.namespace(), &name));
    found.filter(|claim| !volume::is_bound(claim)).cloned().collect()
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
            && claims_of(&other.pod).any(|(claim, _)| claim == name)
    })
}

fn shares_zone(volume: &PersistentVolume, node: &NodeInfo) -> bool {
    let labels = volume.metadata.labels.iter().flatten().filter(|(key, _)| ZONES.contains(&key.as_str()));
    labels.into_iter().all(|(key, zones)| {
        let zone = node.labels().get(key);
        zone.is_some_and(|zone| zones.split("__").any(|one| one == zone))
    })
}

#[cfg(test)]
mod tests {
    use coracle_core::{Kinds, World};
    use serde_json::json;

    use super::super::Topology;
    use super::*;
    use crate::testing::{node, pod_with};

    const NODES: [&str; 3] =
        ["n1 topology.kubernetes.io/zone:a", "n2 topology.kubernetes.io/zone:b", "n3 topology.kubernetes.io/zone:a"];

    /// `"v1 class=local size=5 node=n1 zone=a__b for=c1"`.
    fn volume(text: &str) -> PersistentVolume {
        let mut words = text.split(' ');
        let name = words.next().unwrap();
        let mut volume = json!({"metadata": {"name": name, "labels": {}}, "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1"}}, "status": {"phase": "Available"}});
        for (key, value) in words.map(|word| word.split_once('=').unwrap()) {
            match key {
                "class" => volume["spec"]["storageClassName"] = json!(value),
                "size" => volume["spec"]["capacity"]["storage"] = json!(value),
                "zone" => volume["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!(value),
                "for" => volume["spec"]["claimRef"] = json!({"namespace": "default", "name": value, "uid": value}),
                _ => {
                    let on = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [value]});
                    volume["spec"]["nodeAffinity"] =
                        json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [on]}]}});
                }
            }
        }
        serde_json::from_value(volume).unwrap()
    }

    /// `"c1 class=local size=5 volume=v1 chosen=n1 mode=ReadWriteOncePod phase=Lost leaving"`.
    fn claim(text: &str) -> PersistentVolumeClaim {
        let mut words = text.split(' ');
        let name = words.next().unwrap();
        let mut claim = json!({"metadata": {"namespace": "default", "name": name, "uid": name, "annotations": {}},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}}, "status": {}});
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("class", value) => claim["spec"]["storageClassName"] = json!(value),
                ("size", value) => claim["spec"]["resources"]["requests"]["storage"] = json!(value),
                ("volume", value) => {
                    claim["spec"]["volumeName"] = json!(value);
                    claim["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] = json!("yes");
                }
                ("chosen", value) => {
                    claim["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] = json!(value);
                }
                ("mode", value) => claim["spec"]["accessModes"] = json!([value]),
                ("phase", value) => claim["status"]["phase"] = json!(value),
                _ => claim["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
            }
        }
        serde_json::from_value(claim).unwrap()
    }

    /// What each of three nodes says to a pod with a claim on `c1`.
    #[track_caller]
    fn check(volumes: &[&str], claims: &[&str], expected: [&str; 3]) {
        check_beside(volumes, claims, "", expected);
    }

    /// The same while another pod with that claim is on a node.
    #[track_caller]
    fn check_beside(volumes: &[&str], claims: &[&str], other: &str, expected: [&str; 3]) {
        let volume = json!({"name": "v", "persistentVolumeClaim": {"claimName": "c1"}});
        check_volume(volumes, claims, volume, other, expected);
    }

    #[track_caller]
    fn check_volume(volumes: &[&str], claims: &[&str], source: serde_json::Value, other: &str, expected: [&str; 3]) {
        let mut world = World::new(Kinds::builtin());
        NODES.iter().for_each(|text| drop(world.insert((*node(text)).clone()).unwrap()));
        volumes.iter().for_each(|text| drop(world.insert(volume(text)).unwrap()));
        claims.iter().for_each(|text| drop(world.insert(claim(text)).unwrap()));
        for (name, provisioner, zones) in
            [("local", NO_PROVISIONER, json!(null)), ("made", "x", json!(null)), ("zonal", "x", json!(["b"]))]
        {
            let zones = json!([{"matchLabelExpressions": [{"key": "topology.kubernetes.io/zone", "values": zones}]}]);
            let mut class = json!({"metadata": {"name": name}, "provisioner": provisioner,
                "volumeBindingMode": "WaitForFirstConsumer"});
            if name == "zonal" {
                class["allowedTopologies"] = zones;
            }
            world.insert::<StorageClass>(serde_json::from_value(class).unwrap()).unwrap();
        }
        let wants = json!({ "volumes": [source] });
        if !other.is_empty() {
            world.insert((*pod_with(other, wants.clone())).clone()).unwrap();
        }
        let mut cluster = Snapshot::new();
        cluster.load(&world);
        let asks = cluster.read(pod_with("p", wants));
        let topology = Topology::prepare(&asks, &cluster).unwrap();
        let said = NODES.map(|text| {
            let name = text.split(' ').next().unwrap();
            let node = cluster.node(cluster.index_of(name).unwrap()).unwrap();
            topology.check(node).map_or_else(|why| why.reasons[0].to_string(), |()| "ok".to_owned())
        });
        assert_eq!(said, expected);
    }

    #[test]
    fn a_pod_goes_where_its_volumes_are_or_can_be() {
        const OK: &str = "ok";
        // Bound: where the volume is, by affinity or by zone.
        check(&["v1 node=n1 for=c1"], &["c1 volume=v1"], [OK, ELSEWHERE, ELSEWHERE]);
        check(&["v1 zone=a for=c1"], &["c1 volume=v1"], [OK, OTHER_ZONE, OK]);
        check(&["v1 zone=a__b for=c1"], &["c1 volume=v1"], [OK; 3]);
        check(&[], &["c1 volume=v1"], [NO_VOLUME; 3]);
        // Not bound, and nobody waits for the pod.
        check(&["v1"], &["c1"], [UNBOUND; 3]);
        // Local volumes: the smallest that is enough, and not another's.
        check(&["v1 class=local node=n1"], &["c1 class=local"], [OK, NOT_FOUND, NOT_FOUND]);
        check(
            &["v1 class=local node=n1 size=2", "v2 class=local node=n2 size=9"],
            &["c1 class=local size=5"],
            [NOT_FOUND, OK, NOT_FOUND],
        );
        check(&["v1 class=local node=n1 for=c2"], &["c1 class=local"], [NOT_FOUND; 3]);
        check(&["v1 class=local node=n1 for=c1"], &["c1 class=local"], [OK, NOT_FOUND, NOT_FOUND]);
        // Made on demand: anywhere its class allows, or where somebody has begun.
        check(&[], &["c1 class=made"], [OK; 3]);
        check(&[], &["c1 class=zonal"], [NOT_FOUND, OK, NOT_FOUND]);
        check(&[], &["c1 class=made chosen=n3"], [NOT_FOUND, NOT_FOUND, OK]);
        check(&[], &["c1 class=made chosen=gone"], [OK; 3]);
        // Claims that are missing, leaving or lost.
        let made = [r#"waiting for ephemeral volume controller to create the persistentvolumeclaim "p-v""#; 3];
        check_volume(&[], &[], json!({"name": "v", "ephemeral": {}}), "", made);
        let others = ["PVC default/p-v was not created for pod default/p (pod is not owner)"; 3];
        check_volume(&["v1"], &["p-v volume=v1"], json!({"name": "v", "ephemeral": {}}), "", others);
        check(&[], &[], ["persistentvolumeclaim \"c1\" not found"; 3]);
        check(&["v1"], &["c1 volume=v1 leaving"], ["persistentvolumeclaim \"c1\" is being deleted"; 3]);
        let lost = "persistentvolumeclaim \"c1\" bound to non-existent persistentvolume \"v1\"";
        check(&[], &["c1 volume=v1 phase=Lost"], [lost; 3]);
    }

    #[test]
    fn an_exclusive_claim_is_for_one_pod_at_a_time() {
        let (volume, exclusive) = (["v1 for=c1"], ["c1 volume=v1 mode=ReadWriteOncePod"]);
        check_beside(&volume, &exclusive, "other on=n2", [IN_USE; 3]);
        check_beside(&volume, &["c1 volume=v1"], "other on=n2", ["ok"; 3]);
        check_beside(&volume, &exclusive, "other on=n2 phase=Succeeded", ["ok"; 3]);
        check_beside(&volume, &exclusive, "other", ["ok"; 3]);
        check_beside(&volume, &exclusive, "other on=n2 namespace=x", ["ok"; 3]);
    }
}
