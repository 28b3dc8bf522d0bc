//! Who is who: a pod's ordinal is its name, its labels, its host name and the names of its volumes.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::history::REVISION_HASH;
use crate::ownership::controller_reference;
use crate::pods;

const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// The ordinal that a pod's name says, if it is a name of this set.
pub(super) fn ordinal(set: &StatefulSet, pod: &ObjectMeta) -> Option<i64> {
    let name = pod.name.as_deref()?;
    let digits = name.strip_prefix(name_of(&set.metadata))?.strip_prefix('-')?;
    let ordinal = digits.parse::<u32>().ok()?;
    // `web-01` and `web-+1` are nobody's name.
    (digits == ordinal.to_string()).then_some(i64::from(ordinal))
}

pub(super) fn pod_name(set: &StatefulSet, ordinal: i64) -> String {
    format!("{}-{ordinal}", name_of(&set.metadata))
}

/// The pod of an ordinal, made from a revision's template. Source: `newVersionedStatefulSetPod`.
pub(super) fn new_pod(set: &StatefulSet, template: &PodTemplateSpec, revision: &str, ordinal: i64) -> Pod {
    let mut pod = pods::from_template(template, &set.metadata, controller_reference(set));
    let name = pod_name(set, ordinal);
    pod.metadata.generate_name = None;
    pod.metadata.name = Some(name.clone());
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(REVISION_HASH.to_owned(), revision.to_owned());
    label(labels, &name, ordinal);
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = Some(name);
    spec.subdomain = set.spec.as_ref().and_then(|spec| spec.service_name.clone()).filter(|name| !name.is_empty());
    let claimed = claim_templates(set).map(|template| volume(set, template, ordinal));
    let mut volumes: Vec<Volume> = claimed.collect();
    let claimed = volumes.len();
    for own in spec.volumes.take().into_iter().flatten() {
        if !volumes.iter().take(claimed).any(|volume| volume.name == own.name) {
            volumes.push(own);
        }
    }
    spec.volumes = (!volumes.is_empty()).then_some(volumes);
    pod
}

/// Writes a pod's identity into its labels.
pub(super) fn label(labels: &mut BTreeMap<String, String>, name: &str, ordinal: i64) {
    labels.insert(POD_NAME.to_owned(), name.to_owned());
    labels.insert(POD_INDEX.to_owned(), ordinal.to_string());
}

/// Whether a pod carries its identity. Source: `identityMatches`.
pub(super) fn is_labelled(pod: &Pod) -> bool {
    pod.metadata.labels.as_ref().and_then(|labels| labels.get(POD_NAME)) == pod.metadata.name.as_ref()
}

pub(super) fn claim_templates(set: &StatefulSet) -> impl Iterator<Item = &PersistentVolumeClaim> {
    set.spec.iter().flat_map(|spec| spec.volume_claim_templates.iter().flatten())
}

pub(super) fn claim_name(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i64) -> String {
    format!("{}-{}", name_of(&template.metadata), pod_name(set, ordinal))
}

/// The claim of an ordinal, as a template asks for it. Source: `getPersistentVolumeClaims`.
pub(super) fn new_claim(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i64) -> PersistentVolumeClaim {
    let mut claim = template.clone();
    claim.metadata.name = Some(claim_name(set, template, ordinal));
    claim.metadata.namespace = set.metadata.namespace.clone();
    let selected = set.spec.as_ref().and_then(|spec: &StatefulSetSpec| spec.selector.match_labels.clone());
    if let Some(selected) = selected {
        claim.metadata.labels.get_or_insert_default().extend(selected);
    }
    claim
}

fn volume(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i64) -> Volume {
    let claim_name = claim_name(set, template, ordinal);
    Volume {
        name: name_of(&template.metadata).to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource { claim_name, read_only: None }),
        ..Volume::default()
    }
}

pub(super) fn name_of(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or("")
}
