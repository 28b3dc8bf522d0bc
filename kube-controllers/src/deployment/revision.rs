//! How revisions are counted: the new ReplicaSet always has the highest one, and what it was before is remembered.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::rollout::Rollout;
use super::strategy::Sizes;

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";

/// Annotations of the Deployment that are no business of its ReplicaSets.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];

/// Bytes of remembered revisions at most; the oldest are forgotten. Source: `maxRevHistoryLengthInChars`.
const HISTORY_BYTES_MAX: usize = 2000;

/// The revision that an object is annotated with; 0 if none.
pub(super) fn of(metadata: &ObjectMeta) -> i64 {
    number(metadata, REVISION).unwrap_or(0)
}

/// How large the Deployment was when this ReplicaSet was last resized.
pub(super) fn desired_replicas(metadata: &ObjectMeta) -> Option<i32> {
    number(metadata, DESIRED)
}

/// How large the Deployment could be, with surge, when this ReplicaSet was last resized.
pub(super) fn max_replicas(metadata: &ObjectMeta) -> Option<i32> {
    number(metadata, MAX)
}

/// Notes the size of the Deployment; says whether that was news. Source: `SetReplicasAnnotations`.
pub(super) fn annotate_sizes(metadata: &mut ObjectMeta, sizes: Sizes) -> bool {
    let desired = annotate(metadata, DESIRED, sizes.replicas.to_string());
    let max = annotate(metadata, MAX, sizes.total_max().to_string());
    desired || max
}

impl Rollout<'_> {
    /// Gives the new ReplicaSet the highest revision and the Deployment's annotations. Source: `getNewReplicaSet`,
    /// `SetNewReplicaSetAnnotations`.
    pub(super) fn remember_revision(&mut self) {
        let next = self.old.iter().map(|member| of(&member.after.metadata)).max().unwrap_or(0) + 1;
        let Some(new) = &mut self.new else { return };
        let metadata = &mut new.after.metadata;
        for (key, value) in self.deployment.metadata.annotations.iter().flatten() {
            if !NOT_COPIED.contains(&key.as_str()) {
                annotate(metadata, key, value.clone());
            }
        }
        promote(metadata, next);
        if let Some(spec) = &mut new.after.spec {
            spec.min_ready_seconds = self.spec.min_ready_seconds;
        }
        self.revision = text(metadata, REVISION).map(str::to_owned);
        self.note_found();
    }
}

/// Raises the revision, if it is lower; a former one is kept as history: this is what a rollback looks like.
fn promote(metadata: &mut ObjectMeta, revision: i64) {
    let former = text(metadata, REVISION).map(str::to_owned);
    if of(metadata) >= revision {
        return;
    }
    annotate(metadata, REVISION, revision.to_string());
    let Some(former) = former else { return };
    let mut history: Vec<_> =
        text(metadata, HISTORY).unwrap_or("").split(',').filter(|text| !text.is_empty()).collect();
    history.push(&former);
    while history.join(",").len() > HISTORY_BYTES_MAX {
        history.remove(0);
    }
    let history = history.join(",");
    annotate(metadata, HISTORY, history);
}

fn annotate(metadata: &mut ObjectMeta, key: &str, value: String) -> bool {
    if text(metadata, key) == Some(&value) {
        return false;
    }
    metadata.annotations.get_or_insert_default().insert(key.to_owned(), value);
    true
}

fn text<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn number<N: std::str::FromStr>(metadata: &ObjectMeta, key: &str) -> Option<N> {
    text(metadata, key)?.parse().ok()
}
