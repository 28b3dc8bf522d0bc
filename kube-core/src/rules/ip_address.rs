//! IPAddress: its name is the address.

use super::check::text;
use super::{Ruled, metadata, names, spec_only};
use crate::field::{Errors, Path};
use k8s_openapi::api::networking::v1::IPAddress;

impl Ruled for IPAddress {
    const NAME: metadata::NameRule = names::canonical_ip_address;
    spec_only!();

    fn validate(&self, errors: &mut Errors) {
        let path = Path::new("spec.parentRef");
        let parent = &self.spec.parent_ref;
        if *parent == Default::default() {
            return errors.required(&path, "");
        }
        if !text(&parent.group).is_empty() {
            errors.dns_subdomain(&path.field("group"), text(&parent.group));
        }
        errors.given_path_segment(&path.field("resource"), &parent.resource);
        errors.given_path_segment(&path.field("name"), &parent.name);
        errors.path_segment(&path.field("namespace"), text(&parent.namespace));
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        errors.immutable(&Path::new("spec.parentRef"), &self.spec.parent_ref, &old.spec.parent_ref);
    }
}
