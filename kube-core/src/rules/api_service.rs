//! APIService.

use super::check::{is_empty_bytes, items, text};
use super::{Ruled, fill, metadata, status_apart};
use crate::field::{Errors, Path, format, quote};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec, ServiceReference};

const SPEC: Path<'static> = Path::new("spec");

impl Ruled for APIService {
    const NAME: metadata::NameRule = metadata::path_segment;
    status_apart!();

    fn fill_defaults(&mut self) {
        if let Some(service) = self.spec.as_mut().and_then(|spec| spec.service.as_mut()) {
            fill::value(&mut service.port, 443);
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let none = APIServiceSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        let (group, version) = (text(&spec.group), text(&spec.version));
        validate_name(text(&self.metadata.name), group, version, errors);
        if group.is_empty() && version != "v1" {
            let message = "only v1 may have an empty group and it better be legacy kube";
            errors.required(&SPEC.field("group"), message);
        }
        if !group.is_empty() {
            errors.dns_subdomain(&SPEC.field("group"), group);
        }
        errors.invalid_each(&SPEC.field("version"), version, format::dns1035_label(version));
        for (field, priority, most) in [
            ("groupPriorityMinimum", spec.group_priority_minimum, 20_000),
            ("versionPriority", spec.version_priority, 1000),
        ] {
            if !(1..=most).contains(&priority) {
                let message = std::format!("must be positive and less than {most}");
                errors.invalid(&SPEC.field(field), priority, message);
            }
        }
        match &spec.service {
            None => validate_local(spec, errors),
            Some(service) => validate_remote(spec, service, errors),
        }
    }

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        let conditions = self.status.as_ref().map_or(&[][..], |status| items(&status.conditions));
        for (index, condition) in conditions.iter().enumerate() {
            let path = Path::new("status.conditions");
            let path = path.index(index);
            errors.one_of(&path.field("status"), &condition.status, &["True", "False", "Unknown"]);
        }
    }
}

/// The name says what is served.
fn validate_name(name: &str, group: &str, version: &str, errors: &mut Errors) {
    let required = std::format!("{version}.{group}");
    if !name.is_empty() && format::path_segment(name).is_empty() && name != required {
        let message = std::format!("must be `spec.version+\".\"+spec.group`: {}", quote(&required));
        errors.invalid(&Path::new("metadata.name"), name, message);
    }
}

fn validate_local(spec: &APIServiceSpec, errors: &mut Errors) {
    if let Some(bundle) = spec.ca_bundle.as_ref().filter(|bundle| !bundle.0.is_empty()) {
        let shown = std::format!("{} bytes", bundle.0.len());
        errors.invalid(&SPEC.field("caBundle"), shown, "local APIServices may not have a caBundle");
    }
    if spec.insecure_skip_tls_verify == Some(true) {
        let message = "local APIServices may not have insecureSkipTLSVerify";
        errors.invalid(&SPEC.field("insecureSkipTLSVerify"), true, message);
    }
}

fn validate_remote(spec: &APIServiceSpec, service: &ServiceReference, errors: &mut Errors) {
    let path = SPEC.field("service");
    errors.given(&path.field("namespace"), text(&service.namespace));
    errors.given(&path.field("name"), text(&service.name));
    errors.port_of_service(&path.field("port"), service.port.unwrap_or(0));
    if spec.insecure_skip_tls_verify == Some(true) && !is_empty_bytes(&spec.ca_bundle) {
        let message = "may not be true if caBundle is present";
        errors.invalid(&SPEC.field("insecureSkipTLSVerify"), true, message);
    }
}
