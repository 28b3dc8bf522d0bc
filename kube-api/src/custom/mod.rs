//! Serves custom resource definitions. The rows of the kinds table follow the definitions inside the
//! [`Ledger`](crate::Ledger), so the world at a revision has the kinds of that revision; here is the rest.
//!
//! | module | what it holds |
//! |---|---|
//! | `settle` | accepts names, establishes definitions, clears away the objects of those that go |
//! | `scale` | the scale subresource of custom kinds |
//! | `fields` | selectable fields |
//! | `conversion` | versions that a webhook makes of each other |

mod conversion;
mod fields;
mod scale;
mod settle;

use coracle_core::custom::names::{FINALIZER, set_condition};
use coracle_core::{AnyResource, Object};
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

pub(crate) use conversion::{Converter, api_version_of, needs_webhook, standing_alone};
pub(crate) use fields::{selected, text_at};
pub(crate) use scale::{read_scale, set_replicas};
pub use settle::run;

/// What the deletion of a definition waits for. Source: apiextensions `customresourcedefinition/etcd.go`, `REST.Delete`.
pub(crate) fn finalizer_of(existing: &Object) -> Option<&'static str> {
    existing.get::<CustomResourceDefinition>().map(|_| FINALIZER)
}

/// Notes that a definition is being deleted.
pub(crate) fn mark_terminating(value: &mut dyn AnyResource, now: Timestamp) {
    let Some(definition) = value.as_any_mut().downcast_mut::<CustomResourceDefinition>() else { return };
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    let status = definition.status.get_or_insert_default();
    let is_marked = status.conditions.iter().flatten().any(|condition| condition.type_ == "Terminating");
    if !is_marked {
        set_condition(status, "Terminating", "True", ("InstanceDeletionPending", message), now);
    }
}

/// What the writer of a definition is told: CEL rules are kept, but nothing enforces them.
pub(crate) fn warnings(value: &dyn AnyResource) -> Vec<String> {
    let Some(definition) = value.as_any().downcast_ref::<CustomResourceDefinition>() else { return Vec::new() };
    let versions = definition.spec.versions.iter();
    let counts =
        versions.map(|version| (version, coracle_core::custom::Version::new(definition, version).unenforced_rules()));
    let told = counts.filter(|(_, rules)| *rules > 0).map(|(version, rules)| {
        format!(
            "version {}: {rules} x-kubernetes-validations rule(s) are kept but not enforced by this server",
            version.name
        )
    });
    told.collect()
}
