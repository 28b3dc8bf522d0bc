//! Namespace. Removing its last finalizer (`namespaces/finalize`) is the pipeline's business.

use super::check::{items, text};
use super::{Ruled, fill, metadata};
use crate::field::{Errors, Path};
use k8s_openapi::api::core::v1::{Namespace, NamespaceStatus};

const FINALIZER: &str = "kubernetes";

impl Ruled for Namespace {
    const NAME: metadata::NameRule = metadata::dns_label;

    /// Every namespace carries its name as a label, so that selectors can find it.
    fn fill_defaults(&mut self) {
        if let Some(name) = self.metadata.name.as_ref().filter(|name| !name.is_empty()) {
            let labels = self.metadata.labels.get_or_insert_default();
            labels.insert("kubernetes.io/metadata.name".to_owned(), name.clone());
        }
        fill::text(&mut self.status.get_or_insert_default().phase, "Active");
    }

    fn validate(&self, errors: &mut Errors) {
        let path = Path::new("spec.finalizers");
        for finalizer in self.spec.iter().flat_map(|spec| items(&spec.finalizers)) {
            errors.qualified_name(&path, finalizer);
            metadata::validate_finalizer_domain(finalizer, &path, errors);
        }
    }

    fn validate_update(&self, _old: &Self, _errors: &mut Errors) {}

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        let phase = self.status.as_ref().map_or("", |status| text(&status.phase));
        let path = Path::new("status.Phase");
        match (&self.metadata.deletion_timestamp, phase) {
            (None, "Active") | (Some(_), "Terminating") => {}
            (None, _) => errors.invalid(&path, phase, "may only be 'Active' if `deletionTimestamp` is empty"),
            (Some(_), _) => {
                errors.invalid(&path, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty");
            }
        }
    }

    fn prepare_create(&mut self) {
        self.status = Some(NamespaceStatus { phase: Some("Active".to_owned()), ..Default::default() });
        let finalizers = self.spec.get_or_insert_default().finalizers.get_or_insert_default();
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            finalizers.push(FINALIZER.to_owned());
        }
    }

    fn prepare_update(&mut self, old: &Self) {
        if let Some(spec) = &mut self.spec {
            spec.finalizers = old.spec.as_ref().and_then(|old| old.finalizers.clone());
        } else {
            self.spec = old.spec.clone();
        }
        self.status = old.status.clone();
    }

    fn prepare_status_update(&mut self, old: &Self) {
        self.spec = old.spec.clone();
    }
}
