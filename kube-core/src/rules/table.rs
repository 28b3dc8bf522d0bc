//! The rules of all kinds without their types: what a generic pipeline calls.

use super::{Ruled, Scoped, metadata};
use crate::field::{Errors, Path};
use k8s_openapi::api::{
    admissionregistration::v1 as admissionregistration, apps::v1 as apps, autoscaling::v1 as autoscaling,
    autoscaling::v2 as autoscaling_v2, batch::v1 as batch, certificates::v1 as certificates,
    coordination::v1 as coordination, core::v1 as core, discovery::v1 as discovery, events::v1 as events,
    flowcontrol::v1 as flowcontrol, networking::v1 as networking, node::v1 as node, policy::v1 as policy,
    rbac::v1 as rbac, resource::v1 as resource, scheduling::v1 as scheduling, storage::v1 as storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration;
use std::any::Any;

/// The rules of one kind, for objects whose type is only known at run time.
///
/// An object of another type than the row's is left alone by the functions that change, and found wrong by those that check.
pub struct Rules {
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The version in the group.
    pub version: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Fills in what the writer left out.
    pub default: fn(object: &mut dyn Any),
    /// Checks a new object, metadata included.
    pub validate: fn(object: &dyn Any) -> Errors,
    /// Checks a change of an object, metadata included.
    pub validate_update: fn(new: &dyn Any, old: &dyn Any) -> Errors,
    /// Checks a change of an object's status, metadata included.
    pub validate_status_update: fn(new: &dyn Any, old: &dyn Any) -> Errors,
    /// Checks a change of an object through another subresource, named first, metadata included.
    pub validate_part_update: fn(part: &str, new: &dyn Any, old: &dyn Any) -> Errors,
    /// Before a create: takes away what a creator may not set, adds what the server sets, generation included. Name, namespace
    /// and uid must be there already: the selector of a Job is made of them.
    pub prepare_create: fn(object: &mut dyn Any),
    /// Before an update: puts back what a writer may not change; raises the generation if the spec changed.
    pub prepare_update: fn(new: &mut dyn Any, old: &dyn Any),
    /// Before a status update: puts back what a writer of the status may not change, the generation included.
    pub prepare_status_update: fn(new: &mut dyn Any, old: &dyn Any),
    /// Whether a change deserves a new generation.
    pub spec_changed: fn(new: &dyn Any, old: &dyn Any) -> bool,
}

impl Rules {
    /// The rules of kind `K` in their untyped form.
    pub const fn of<K: Ruled>() -> Rules {
        Rules {
            group: K::GROUP,
            version: K::VERSION,
            kind: K::KIND,
            namespaced: K::Scope::NAMESPACED,
            default: default::<K>,
            validate: validate::<K>,
            validate_update: validate_update::<K>,
            validate_status_update: validate_status_update::<K>,
            validate_part_update: validate_part_update::<K>,
            prepare_create: prepare_create::<K>,
            prepare_update: prepare_update::<K>,
            prepare_status_update: prepare_status_update::<K>,
            spec_changed: spec_changed::<K>,
        }
    }
}

/// The rules of a kind, if it is built in and has any.
pub fn lookup(group: &str, version: &str, kind: &str) -> Option<&'static Rules> {
    TABLE.iter().find(|rules| rules.kind == kind && rules.group == group && rules.version == version)
}

/// Every kind that has rules. Most used first, since [`lookup`] goes through in order.
pub static TABLE: &[Rules] = &[
    Rules::of::<core::Pod>(),
    Rules::of::<core::Node>(),
    Rules::of::<coordination::Lease>(),
    Rules::of::<core::Event>(),
    Rules::of::<apps::ReplicaSet>(),
    Rules::of::<apps::Deployment>(),
    Rules::of::<core::Service>(),
    Rules::of::<discovery::EndpointSlice>(),
    Rules::of::<core::Endpoints>(),
    Rules::of::<core::ConfigMap>(),
    Rules::of::<core::Secret>(),
    Rules::of::<core::Namespace>(),
    Rules::of::<core::ServiceAccount>(),
    Rules::of::<apps::StatefulSet>(),
    Rules::of::<apps::DaemonSet>(),
    Rules::of::<apps::ControllerRevision>(),
    Rules::of::<batch::Job>(),
    Rules::of::<batch::CronJob>(),
    Rules::of::<core::ReplicationController>(),
    Rules::of::<core::PodTemplate>(),
    Rules::of::<core::PersistentVolume>(),
    Rules::of::<core::PersistentVolumeClaim>(),
    Rules::of::<core::LimitRange>(),
    Rules::of::<core::ResourceQuota>(),
    Rules::of::<events::Event>(),
    Rules::of::<storage::StorageClass>(),
    Rules::of::<policy::PodDisruptionBudget>(),
    Rules::of::<scheduling::PriorityClass>(),
    Rules::of::<networking::Ingress>(),
    Rules::of::<networking::IngressClass>(),
    Rules::of::<networking::NetworkPolicy>(),
    Rules::of::<autoscaling::HorizontalPodAutoscaler>(),
    Rules::of::<autoscaling_v2::HorizontalPodAutoscaler>(),
    Rules::of::<rbac::Role>(),
    Rules::of::<rbac::ClusterRole>(),
    Rules::of::<rbac::RoleBinding>(),
    Rules::of::<rbac::ClusterRoleBinding>(),
    Rules::of::<node::RuntimeClass>(),
    Rules::of::<admissionregistration::MutatingWebhookConfiguration>(),
    Rules::of::<admissionregistration::ValidatingWebhookConfiguration>(),
    Rules::of::<admissionregistration::ValidatingAdmissionPolicy>(),
    Rules::of::<admissionregistration::ValidatingAdmissionPolicyBinding>(),
    Rules::of::<certificates::CertificateSigningRequest>(),
    Rules::of::<flowcontrol::FlowSchema>(),
    Rules::of::<flowcontrol::PriorityLevelConfiguration>(),
    Rules::of::<networking::IPAddress>(),
    Rules::of::<networking::ServiceCIDR>(),
    Rules::of::<storage::CSIDriver>(),
    Rules::of::<storage::CSINode>(),
    Rules::of::<storage::CSIStorageCapacity>(),
    Rules::of::<storage::VolumeAttachment>(),
    Rules::of::<storage::VolumeAttributesClass>(),
    Rules::of::<admissionregistration::MutatingAdmissionPolicy>(),
    Rules::of::<admissionregistration::MutatingAdmissionPolicyBinding>(),
    Rules::of::<resource::DeviceClass>(),
    Rules::of::<resource::ResourceClaim>(),
    Rules::of::<resource::ResourceClaimTemplate>(),
    Rules::of::<resource::ResourceSlice>(),
    Rules::of::<apiextensions::CustomResourceDefinition>(),
    Rules::of::<apiregistration::APIService>(),
    Rules::of::<autoscaling::Scale>(),
];

const METADATA: Path<'static> = Path::new("metadata");

fn default<K: Ruled>(object: &mut dyn Any) {
    if let Some(object) = object.downcast_mut::<K>() {
        object.fill_defaults();
    }
}

fn validate<K: Ruled>(object: &dyn Any) -> Errors {
    let Some(object) = object.downcast_ref::<K>() else { return another_type::<K>() };
    let mut errors = Errors::new();
    metadata::validate(object.metadata(), K::Scope::NAMESPACED, K::NAME, &METADATA, &mut errors);
    validate_finalizers::<K>(object.metadata(), &mut errors);
    object.validate(&mut errors);
    errors
}

fn validate_update<K: Ruled>(new: &dyn Any, old: &dyn Any) -> Errors {
    validate_change::<K>(new, old, K::validate_update)
}

fn validate_status_update<K: Ruled>(new: &dyn Any, old: &dyn Any) -> Errors {
    validate_change::<K>(new, old, K::validate_status_update)
}

fn validate_part_update<K: Ruled>(part: &str, new: &dyn Any, old: &dyn Any) -> Errors {
    validate_change::<K>(new, old, |new, old, errors| new.validate_part_update(part, old, errors))
}

fn validate_change<K: Ruled>(new: &dyn Any, old: &dyn Any, check: impl Fn(&K, &K, &mut Errors)) -> Errors {
    let Some((new, old)) = both::<K>(new, old) else { return another_type::<K>() };
    let mut errors = Errors::new();
    metadata::validate_update(new.metadata(), old.metadata(), &METADATA, &mut errors);
    validate_finalizers::<K>(new.metadata(), &mut errors);
    check(new, old, &mut errors);
    errors
}

/// Custom resources and their definitions may have finalizers of any name.
fn validate_finalizers<K: Ruled>(
    metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    errors: &mut Errors,
) {
    if K::GROUP != "apiextensions.k8s.io" {
        metadata::validate_finalizer_domains(metadata, &METADATA, errors);
    }
}

fn prepare_create<K: Ruled>(object: &mut dyn Any) {
    let Some(object) = object.downcast_mut::<K>() else { return };
    metadata::prepare_create(object.metadata_mut());
    object.prepare_create();
    if K::HAS_GENERATION {
        object.metadata_mut().generation = Some(1);
    }
}

fn prepare_update<K: Ruled>(new: &mut dyn Any, old: &dyn Any) {
    let (Some(new), Some(old)) = (new.downcast_mut::<K>(), old.downcast_ref::<K>()) else { return };
    new.prepare_update(old);
    metadata::prepare_update(new.metadata_mut(), old.metadata());
    if K::HAS_GENERATION && new.spec_changed(old) {
        new.metadata_mut().generation = Some(old.metadata().generation.unwrap_or(0) + 1);
    }
}

fn prepare_status_update<K: Ruled>(new: &mut dyn Any, old: &dyn Any) {
    let (Some(new), Some(old)) = (new.downcast_mut::<K>(), old.downcast_ref::<K>()) else { return };
    new.prepare_status_update(old);
    metadata::prepare_update(new.metadata_mut(), old.metadata());
}

fn spec_changed<K: Ruled>(new: &dyn Any, old: &dyn Any) -> bool {
    both::<K>(new, old).is_some_and(|(new, old)| new.spec_changed(old))
}

fn both<'a, K: 'static>(new: &'a dyn Any, old: &'a dyn Any) -> Option<(&'a K, &'a K)> {
    Some((new.downcast_ref()?, old.downcast_ref()?))
}

/// A caller's mistake, reported rather than panicked over.
fn another_type<K: Ruled>() -> Errors {
    let mut errors = Errors::new();
    errors.internal(&Path::ROOT, format!("the object is no {}", K::KIND));
    errors
}
