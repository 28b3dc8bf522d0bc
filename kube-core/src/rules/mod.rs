//! What a valid object of each built-in kind is: its defaults, its validation, and what a write may touch.
//!
//! Each kind's rules are one `impl` of [`Ruled`] in a file named after the kind; reading that file is reading the kind's rules.
//! To add a kind, write its `impl` and its line in [`TABLE`]. Custom resources have schemas instead and are not here.
//!
//! - [`Ruled`]: the form of a kind's rules; every method has a default that asks nothing
//! - [`Rules`], [`lookup`]: the same without types, for a generic pipeline
//! - [`metadata`]: the rules of every object's metadata
//! - `check`, `names`, `conditions`: the vocabulary of validation; `fill`: of defaults; `same`: equality as upstream sees it
//! - `resources`, `pod_spec`, `pod_template`, `volume_sources`, `matching`: definitions that several kinds share
//!
//! A write goes: `default`, (admission of a new object), `prepare_*`, (admission of a change), `validate*`. Messages are upstream's to the letter, except where upstream
//! appends a Go-style dump of the difference (pod, PV and PVC updates), which is left out, and where it shows a whole struct in
//! its internal Go form, which appears here as the API's JSON.
//!
//! Depth. Every kind that is kept is checked as deeply as upstream does, but for what its file's first comment says. Rules that
//! only let old objects pass which older servers wrote are left out, since there are none.
//!
//! Source: `pkg/apis/*/v1/defaults.go`, `pkg/apis/*/validation`, `pkg/registry/*/strategy.go`.

mod admission_policy;
mod api_service;
mod certificate_signing_request;
mod check;
mod conditions;
mod config_map;
mod controller_revision;
mod cron_job;
mod csi_driver;
mod csi_node;
mod csi_storage_capacity;
mod daemon_set;
mod deployment;
mod devices;
mod endpoint_slice;
mod endpoints;
mod event;
mod fill;
mod flow_schema;
mod horizontal_pod_autoscaler;
mod ingress;
mod ip_address;
mod job;
mod lease;
mod limit_range;
mod matching;
pub mod metadata;
mod names;
mod namespace;
mod network_policy;
mod node;
mod persistent_volume;
mod persistent_volume_claim;
mod pod;
mod pod_disruption_budget;
mod pod_parts;
mod pod_spec;
mod pod_template;
mod priority_class;
mod priority_level_configuration;
mod rbac;
mod replica_set;
mod replication_controller;
mod resource_quota;
mod resources;
mod runtime_class;
mod same;
mod scale;
mod secret;
mod service;
mod service_account;
mod service_cidr;
mod service_ips;
mod service_type;
mod stateful_set;
mod storage_class;
mod table;
#[cfg(test)]
mod tests;
mod volume_attachment;
mod volume_attributes_class;
mod volume_sources;
mod webhooks;

pub use admission_policy::type_warnings;
pub use pod::quality_of_service;
pub use same::same;
pub use table::{Rules, TABLE, lookup};

use crate::field::Errors;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ClusterResourceScope, Metadata, NamespaceResourceScope, Resource, SubResourceScope};
use metadata::NameRule;

/// The rules of one built-in kind. Metadata is taken care of by the caller ([`Rules`]), so these look at the rest.
pub trait Ruled: Resource<Scope: Scoped> + Metadata<Ty = ObjectMeta> + Sized + 'static {
    /// What a name must look like. A DNS subdomain unless said otherwise.
    const NAME: NameRule = metadata::dns_subdomain;

    /// Whether `metadata.generation` counts changes of the spec: 1 on create, one more with each change.
    const HAS_GENERATION: bool = false;

    /// Fills in what the writer left out. Filling twice changes nothing more.
    fn fill_defaults(&mut self) {}

    /// Checks a new object.
    fn validate(&self, _errors: &mut Errors) {}

    /// Checks a change. By default checks the new object as if it were created.
    fn validate_update(&self, _old: &Self, errors: &mut Errors) {
        self.validate(errors);
    }

    /// Checks a change of the status.
    fn validate_status_update(&self, _old: &Self, _errors: &mut Errors) {}

    /// Checks a change through another subresource than the status, which may change what a plain update may not.
    fn validate_part_update(&self, _part: &str, _old: &Self, _errors: &mut Errors) {}

    /// Takes away what a creator may not set, and adds what the server sets.
    fn prepare_create(&mut self) {}

    /// Puts back what a writer of the object may not change.
    fn prepare_update(&mut self, _old: &Self) {}

    /// Puts back what a writer of the status may not change.
    fn prepare_status_update(&mut self, _old: &Self) {}

    /// Whether a change deserves a new generation.
    fn spec_changed(&self, _old: &Self) -> bool {
        false
    }
}

/// The usual care of a kind with `spec` and `status`: a creator sets no status (there is an empty one, since upstream's is no
/// pointer), a writer of the one cannot touch the other, and the generation counts changes of the spec.
macro_rules! spec_and_status {
    () => {
        const HAS_GENERATION: bool = true;
        $crate::rules::status_apart!();
        fn spec_changed(&self, old: &Self) -> bool {
            !$crate::rules::same(&self.spec, &old.spec)
        }
    };
}

/// As `spec_and_status`, for kinds whose generation upstream leaves alone.
macro_rules! status_apart {
    () => {
        fn prepare_create(&mut self) {
            self.status = Some(Default::default());
        }
        fn prepare_update(&mut self, old: &Self) {
            self.status = old.status.clone();
        }
        fn prepare_status_update(&mut self, old: &Self) {
            self.spec = old.spec.clone();
        }
    };
}

/// A generation that counts changes of the spec, for kinds without a status.
macro_rules! spec_only {
    () => {
        const HAS_GENERATION: bool = true;
        fn spec_changed(&self, old: &Self) -> bool {
            !$crate::rules::same(&self.spec, &old.spec)
        }
    };
}

pub(crate) use {spec_and_status, spec_only, status_apart};

/// Whether objects of a scope live in namespaces.
pub trait Scoped {
    /// Whether they do.
    const NAMESPACED: bool;
}

impl Scoped for NamespaceResourceScope {
    const NAMESPACED: bool = true;
}

impl Scoped for ClusterResourceScope {
    const NAMESPACED: bool = false;
}

/// Subresources with rules (Scale) belong to objects in namespaces.
impl Scoped for SubResourceScope {
    const NAMESPACED: bool = true;
}
