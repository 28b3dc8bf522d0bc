//! The ReplicaSets of one Deployment, and what is to change about each of them.

use std::sync::Arc;

use coracle_core::rules::same;
use coracle_core::{Request, World};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStatus, ReplicaSet, ReplicaSetSpec, ReplicaSetStatus,
};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::strategy::Sizes;
use super::{CONTROLLER, replica_sets, revision, status};
use crate::ownership::controller_reference;
use crate::plan::{Announcement, Plan, Wish};
use crate::replica_set::Replicated;
use crate::template_hash::{POD_TEMPLATE_HASH, template_hash};

/// The name for a ReplicaSet of the present template.
#[derive(Clone, Debug)]
pub(super) struct Fresh {
    /// The hash in it.
    pub(super) hash: String,
    /// Whether something else has that name.
    pub(super) taken: bool,
}

/// A plan in the making: a step of a Deployment from where it is towards where it should be.
#[derive(Debug)]
pub(super) struct Rollout<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) spec: DeploymentSpec,
    pub(super) sizes: Sizes,
    pub(super) now: Timestamp,
    /// The ReplicaSet of the present template.
    pub(super) new: Option<Member>,
    /// All others, oldest first.
    pub(super) old: Vec<Member>,
    /// The status to be written.
    pub(super) status: DeploymentStatus,
    /// The revision that the Deployment is to be annotated with.
    pub(super) revision: Option<String>,
    fresh: Option<Fresh>,
    forgotten: Vec<Arc<ReplicaSet>>,
}

/// A ReplicaSet of the Deployment, as it is and as it should be.
#[derive(Debug)]
pub(super) struct Member {
    /// `None` if it is still to be created.
    pub(super) before: Option<Arc<ReplicaSet>>,
    pub(super) after: ReplicaSet,
}

impl Member {
    fn existing(replica_set: Arc<ReplicaSet>) -> Self {
        Self { after: (*replica_set).clone(), before: Some(replica_set) }
    }

    pub(super) fn name(&self) -> &str {
        self.after.metadata.name.as_deref().unwrap_or("")
    }

    /// Pods it should have when this plan is carried out.
    pub(super) fn replicas(&self) -> i32 {
        self.after.replicas()
    }

    /// Pods it should have now.
    pub(super) fn replicas_before(&self) -> i32 {
        self.before.as_ref().map_or_else(|| self.after.replicas(), |before| before.replicas())
    }

    pub(super) fn status(&self) -> ReplicaSetStatus {
        self.after.current_status()
    }

    pub(super) fn available(&self) -> i32 {
        self.after.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0)
    }

    pub(super) fn is_active(&self) -> bool {
        self.replicas() > 0
    }

    pub(super) fn age(&self) -> (Option<Timestamp>, &str) {
        (self.after.metadata.creation_timestamp.as_ref().map(|time| time.0), self.name())
    }

    /// Sets the size, and the annotations that later tell a resize of the Deployment from a step of its rollout.
    pub(super) fn resize(&mut self, replicas: i32, sizes: Sizes) -> bool {
        let resized = self.replicas() != replicas;
        let annotated = revision::annotate_sizes(&mut self.after.metadata, sizes);
        self.after.spec.get_or_insert_default().replicas = Some(replicas);
        resized || annotated
    }

    fn wish(&self, deployment: &Deployment) -> Option<Wish> {
        let Some(before) = &self.before else { return Some(self.creation(deployment)) };
        if **before == self.after {
            return None;
        }
        let (from, to) = (before.replicas(), self.after.replicas());
        let wish = Wish::from(Request::update(self.after.clone()));
        if from == to {
            return Some(wish);
        }
        let direction = if from < to { "up" } else { "down" };
        let note = format!("Scaled {direction} replica set {} from {from} to {to}", self.name());
        Some(wish.announced(Announcement::about(CONTROLLER, deployment).done("ScalingReplicaSet", note)))
    }

    fn creation(&self, deployment: &Deployment) -> Wish {
        let (name, replicas) = (self.name(), self.replicas());
        let mut announcement = Announcement::about(CONTROLLER, deployment)
            .failed(status::CREATE_ERROR, format!("Failed to create new replica set {name:?}: {{}}"));
        if replicas > 0 {
            let note = format!("Scaled up replica set {name} from 0 to {replicas}");
            announcement = announcement.done("ScalingReplicaSet", note);
        }
        Wish::from(Request::create(self.after.clone())).announced(announcement)
    }
}

impl<'a> Rollout<'a> {
    pub(super) fn new(
        deployment: &'a Deployment,
        replica_sets: Vec<Arc<ReplicaSet>>,
        fresh: Option<Fresh>,
        now: Timestamp,
    ) -> Self {
        let spec = deployment.spec.clone().unwrap_or_default();
        let mut old: Vec<_> = replica_sets.into_iter().map(Member::existing).collect();
        old.sort_by(|one, other| one.age().cmp(&other.age()));
        let new = old.iter().position(|member| is_of_template(&member.after, &spec.template));
        let new = new.map(|index| old.remove(index));
        let sizes = Sizes::of(deployment);
        let status = deployment.status.clone().unwrap_or_default();
        Self { deployment, spec, sizes, now, new, old, status, revision: None, fresh, forgotten: Vec::new() }
    }

    pub(super) fn name(&self) -> &str {
        self.deployment.metadata.name.as_deref().unwrap_or("")
    }

    pub(super) fn is_paused(&self) -> bool {
        self.spec.paused == Some(true)
    }

    pub(super) fn is_creating(&self) -> bool {
        self.new.as_ref().is_some_and(|new| new.before.is_none())
    }

    /// All ReplicaSets, the new one last.
    pub(super) fn all(&self) -> impl Iterator<Item = &Member> {
        self.old.iter().chain(&self.new)
    }

    /// Pods that all ReplicaSets together should have.
    pub(super) fn total(&self) -> i32 {
        self.all().map(Member::replicas).sum()
    }

    /// Finds the new ReplicaSet, or starts one. Source: `getNewReplicaSet`.
    pub(super) fn ensure_new(&mut self) {
        self.remember_revision();
        let Some(fresh) = self.fresh.take().filter(|_| self.new.is_none()) else { return };
        if fresh.taken {
            self.status.collision_count = Some(self.status.collision_count.unwrap_or(0) + 1);
            return;
        }
        let mut created = self.create(&fresh.hash);
        let size = self.size_of_new(0);
        created.spec.get_or_insert_default().replicas = Some(size);
        revision::annotate_sizes(&mut created.metadata, self.sizes);
        let name = created.metadata.name.clone().unwrap_or_default();
        self.new = Some(Member { before: None, after: created });
        self.remember_revision();
        self.note_created(&name);
    }

    /// How large the new ReplicaSet may become, if it has `present` pods now. Source: `NewRSNewReplicas`.
    pub(super) fn size_of_new(&self, present: i32) -> i32 {
        if !self.sizes.rolling {
            return self.sizes.replicas;
        }
        let room = self.sizes.total_max() - self.total();
        present + room.min(self.sizes.replicas - present).max(0)
    }

    fn create(&self, hash: &str) -> ReplicaSet {
        let mut template = self.spec.template.clone();
        let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
        labels.insert(POD_TEMPLATE_HASH.to_owned(), hash.to_owned());
        let metadata = ObjectMeta {
            name: Some(format!("{}-{hash}", self.name())),
            namespace: self.deployment.metadata.namespace.clone(),
            labels: Some(labels.clone()),
            owner_references: Some(vec![controller_reference(self.deployment)]),
            ..ObjectMeta::default()
        };
        let mut selector = self.spec.selector.clone();
        selector.match_labels.get_or_insert_default().insert(POD_TEMPLATE_HASH.to_owned(), hash.to_owned());
        let min_ready_seconds = self.spec.min_ready_seconds;
        let spec = ReplicaSetSpec { replicas: None, min_ready_seconds, selector, template: Some(template) };
        ReplicaSet { metadata, spec: Some(spec), status: None }
    }

    /// Deletes old ReplicaSets beyond the history that is to be kept. Source: `cleanupDeployment`.
    pub(super) fn forget_old(&mut self) {
        let Some(limit) = self.spec.revision_history_limit.filter(|limit| *limit != i32::MAX) else { return };
        let mut old: Vec<_> = self.old.iter().filter_map(|member| member.before.as_ref()).collect();
        old.retain(|replica_set| replica_set.metadata.deletion_timestamp.is_none());
        old.sort_by_key(|replica_set| revision::of(&replica_set.metadata));
        let excess = old.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        let unused = |replica_set: &&&Arc<ReplicaSet>| {
            let status = replica_set.current_status();
            status.replicas == 0
                && replica_set.replicas() == 0
                && replica_set.metadata.generation <= status.observed_generation
        };
        self.forgotten = old.iter().take(excess).filter(unused).map(|replica_set| Arc::clone(replica_set)).collect();
    }

    /// Everything that was decided, as requests.
    pub(super) fn finish(self, plan: &mut Plan) {
        let wishes: Vec<_> = self.all().filter_map(|member| member.wish(self.deployment)).collect();
        if self.is_creating() {
            self.tell_if_creation_fails(plan);
        }
        plan.together(wishes);
        plan.together(self.forgotten.iter().map(|replica_set| Request::delete(&**replica_set)));
        plan.look_again(self.deadline());
        let mut after = self.deployment.clone();
        after.status = Some(self.status);
        if let Some(revision) = self.revision {
            after.metadata.annotations.get_or_insert_default().insert(revision::REVISION.to_owned(), revision);
        }
        let status_before = self.deployment.status.clone().unwrap_or_default();
        if after.metadata != self.deployment.metadata || after.status != Some(status_before) {
            plan.then(Request::update_status(after));
        }
    }
}

/// The name that a ReplicaSet of the present template would get; `None` if there is one.
pub(super) fn fresh(deployment: &Deployment, members: &[Arc<ReplicaSet>], world: &World) -> Option<Fresh> {
    let spec = deployment.spec.as_ref()?;
    if members.iter().any(|replica_set| is_of_template(replica_set, &spec.template)) {
        return None;
    }
    let collisions = deployment.status.as_ref().and_then(|status| status.collision_count);
    let hash = template_hash(&spec.template, collisions);
    let namespace = deployment.metadata.namespace.as_deref().unwrap_or("");
    let name = format!("{namespace}/{}-{hash}", deployment.metadata.name.as_deref().unwrap_or(""));
    let taken = world.object(&replica_sets(), &name).is_some();
    Some(Fresh { hash, taken })
}

/// Whether a ReplicaSet makes pods of this template, leaving aside the label that tells its pods from others'. Source:
/// `EqualIgnoreHash`.
fn is_of_template(replica_set: &ReplicaSet, template: &PodTemplateSpec) -> bool {
    let Some(own) = replica_set.template() else { return false };
    // Most templates differ in an image, which is cheaper to see than whether the rest means the same.
    let images = |template: &PodTemplateSpec| {
        let containers = template.spec.iter().flat_map(|spec| &spec.containers);
        containers.map(|container| container.image.clone()).collect::<Vec<_>>()
    };
    if images(own) != images(template) || !same(&own.spec, &template.spec) {
        return false;
    }
    let without_hash = |template: &PodTemplateSpec| {
        let mut metadata = template.metadata.clone().unwrap_or_default();
        let mut labels = metadata.labels.take().unwrap_or_default();
        labels.remove(POD_TEMPLATE_HASH);
        (metadata, labels)
    };
    same(&without_hash(own), &without_hash(template))
}
