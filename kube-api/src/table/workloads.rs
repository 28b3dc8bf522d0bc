//! Things that keep pods: Deployments and their like, and the templates they make them from.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{PodTemplate, PodTemplateSpec, ReplicationController};
use serde_json::Value;

use super::age::age;
use super::column::{AGE, CONTAINERS, Column, IMAGES, NAME, field, integer, string, text};
use super::text::{NONE, containers, label_selector, labels, plain};
use super::{Printer, printer, row};
use coracle_core::object::controller_of;
use coracle_core::selector::Selector;

const READY_OF_DESIRED: Column = string("Ready", text("Number of the pod with ready state"));

pub(super) static DEPLOYMENT: Printer = printer!(
    Deployment,
    deployment,
    [
        NAME,
        READY_OF_DESIRED,
        string("Up-to-date", field("apps.v1.DeploymentStatus", "updatedReplicas")),
        string("Available", field("apps.v1.DeploymentStatus", "availableReplicas")),
        AGE,
        CONTAINERS,
        IMAGES,
        string("Selector", field("apps.v1.DeploymentSpec", "selector")).wide(),
    ]
);

fn deployment(deployment: &Deployment, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (deployment.spec.as_ref(), deployment.status.as_ref());
    let desired = spec.and_then(|spec| spec.replicas).unwrap_or(0);
    let ready = status.and_then(|status| status.ready_replicas).unwrap_or(0);
    let (names, images) = template(spec.map(|spec| &spec.template));
    let selector = Selector::from_label_selector(spec.map(|spec| &spec.selector));
    row![
        plain(&deployment.metadata.name),
        format!("{ready}/{desired}"),
        status.and_then(|status| status.updated_replicas).unwrap_or(0),
        status.and_then(|status| status.available_replicas).unwrap_or(0),
        age(&deployment.metadata, now),
        names,
        images,
        selector.map_or_else(|_| "<invalid>".to_owned(), |selector| selector.to_string()),
    ]
}

pub(super) static REPLICA_SET: Printer = printer!(
    ReplicaSet,
    replica_set,
    [
        NAME,
        integer("Desired", field("apps.v1.ReplicaSetSpec", "replicas")),
        integer("Current", field("apps.v1.ReplicaSetStatus", "replicas")),
        integer("Ready", field("apps.v1.ReplicaSetStatus", "readyReplicas")),
        AGE,
        CONTAINERS,
        IMAGES,
        string("Selector", field("apps.v1.ReplicaSetSpec", "selector")).wide(),
    ]
);

fn replica_set(replica_set: &ReplicaSet, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (replica_set.spec.as_ref(), replica_set.status.as_ref());
    let (names, images) = template(spec.and_then(|spec| spec.template.as_ref()));
    row![
        plain(&replica_set.metadata.name),
        spec.and_then(|spec| spec.replicas).unwrap_or(0),
        status.map_or(0, |status| status.replicas),
        status.and_then(|status| status.ready_replicas).unwrap_or(0),
        age(&replica_set.metadata, now),
        names,
        images,
        label_selector(spec.map(|spec| &spec.selector)),
    ]
}

pub(super) static REPLICATION_CONTROLLER: Printer = printer!(
    ReplicationController,
    replication_controller,
    [
        NAME,
        integer("Desired", field("core.v1.ReplicationControllerSpec", "replicas")),
        integer("Current", field("core.v1.ReplicationControllerStatus", "replicas")),
        integer("Ready", field("core.v1.ReplicationControllerStatus", "readyReplicas")),
        AGE,
        CONTAINERS,
        IMAGES,
        string("Selector", field("core.v1.ReplicationControllerSpec", "selector")).wide(),
    ]
);

fn replication_controller(controller: &ReplicationController, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (controller.spec.as_ref(), controller.status.as_ref());
    let (names, images) = template(spec.and_then(|spec| spec.template.as_ref()));
    row![
        plain(&controller.metadata.name),
        spec.and_then(|spec| spec.replicas).unwrap_or(0),
        status.map_or(0, |status| status.replicas),
        status.and_then(|status| status.ready_replicas).unwrap_or(0),
        age(&controller.metadata, now),
        names,
        images,
        labels(spec.and_then(|spec| spec.selector.as_ref())),
    ]
}

pub(super) static STATEFUL_SET: Printer =
    printer!(StatefulSet, stateful_set, [NAME, READY_OF_DESIRED, AGE, CONTAINERS, IMAGES]);

fn stateful_set(stateful_set: &StatefulSet, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (stateful_set.spec.as_ref(), stateful_set.status.as_ref());
    let desired = spec.and_then(|spec| spec.replicas).unwrap_or(0);
    let ready = status.and_then(|status| status.ready_replicas).unwrap_or(0);
    let (names, images) = template(spec.map(|spec| &spec.template));
    row![
        plain(&stateful_set.metadata.name),
        format!("{ready}/{desired}"),
        age(&stateful_set.metadata, now),
        names,
        images,
    ]
}

pub(super) static DAEMON_SET: Printer = printer!(
    DaemonSet,
    daemon_set,
    [
        NAME,
        integer("Desired", field("apps.v1.DaemonSetStatus", "desiredNumberScheduled")),
        integer("Current", field("apps.v1.DaemonSetStatus", "currentNumberScheduled")),
        integer("Ready", field("apps.v1.DaemonSetStatus", "numberReady")),
        integer("Up-to-date", field("apps.v1.DaemonSetStatus", "updatedNumberScheduled")),
        integer("Available", field("apps.v1.DaemonSetStatus", "numberAvailable")),
        string("Node Selector", field("core.v1.PodSpec", "nodeSelector")),
        AGE,
        CONTAINERS,
        IMAGES,
        string("Selector", field("apps.v1.DaemonSetSpec", "selector")).wide(),
    ]
);

fn daemon_set(daemon_set: &DaemonSet, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (daemon_set.spec.as_ref(), daemon_set.status.as_ref());
    let pod = spec.and_then(|spec| spec.template.spec.as_ref());
    let (names, images) = template(spec.map(|spec| &spec.template));
    row![
        plain(&daemon_set.metadata.name),
        status.map_or(0, |status| status.desired_number_scheduled),
        status.map_or(0, |status| status.current_number_scheduled),
        status.map_or(0, |status| status.number_ready),
        status.and_then(|status| status.updated_number_scheduled).unwrap_or(0),
        status.and_then(|status| status.number_available).unwrap_or(0),
        labels(pod.and_then(|pod| pod.node_selector.as_ref())),
        age(&daemon_set.metadata, now),
        names,
        images,
        label_selector(spec.map(|spec| &spec.selector)),
    ]
}

pub(super) static CONTROLLER_REVISION: Printer = printer!(
    ControllerRevision,
    controller_revision,
    [
        NAME,
        string("Controller", text("Controller of the object")),
        string("Revision", field("apps.v1.ControllerRevision", "revision")),
        AGE,
    ]
);

fn controller_revision(revision: &ControllerRevision, now: Timestamp) -> Vec<Value> {
    let controller = controller_of(&revision.metadata).map(|owner| {
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        let dot = if group.is_empty() { "" } else { "." };
        format!("{}{dot}{group}/{}", owner.kind.to_lowercase(), owner.name)
    });
    row![
        plain(&revision.metadata.name),
        controller.unwrap_or_else(|| NONE.to_owned()),
        revision.revision,
        age(&revision.metadata, now),
    ]
}

pub(super) static POD_TEMPLATE: Printer = printer!(
    PodTemplate,
    pod_template,
    [
        NAME,
        Column { priority: 0, ..CONTAINERS },
        Column { priority: 0, ..IMAGES },
        string("Pod Labels", text("The labels for the pod template.")),
    ]
);

fn pod_template(pod_template: &PodTemplate, _now: Timestamp) -> Vec<Value> {
    let (names, images) = template(pod_template.template.as_ref());
    let metadata = pod_template.template.as_ref().and_then(|template| template.metadata.as_ref());
    row![plain(&pod_template.metadata.name), names, images, labels(metadata.and_then(|it| it.labels.as_ref()))]
}

/// Names and images of a template's containers.
pub(super) fn template(template: Option<&PodTemplateSpec>) -> (String, String) {
    let spec = template.and_then(|template| template.spec.as_ref());
    containers(spec.map_or(&[], |spec| spec.containers.as_slice()))
}
