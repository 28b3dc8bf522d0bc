//! DeviceClass.

use super::{CONFIGURATIONS_MAX, fits, validate_configuration, validate_selectors};
use crate::field::{Errors, Path};
use crate::rules::check::items;
use crate::rules::resources::is_extended;
use crate::rules::{Ruled, spec_only};
use k8s_openapi::api::resource::v1::DeviceClass;

const SPEC: Path<'static> = Path::new("spec");

impl Ruled for DeviceClass {
    spec_only!();

    fn validate(&self, errors: &mut Errors) {
        validate_selectors(items(&self.spec.selectors), &SPEC.field("selectors"), errors);
        let (configurations, path) = (items(&self.spec.config), SPEC.field("config"));
        if fits(configurations, CONFIGURATIONS_MAX, &path, errors) {
            for (index, configuration) in configurations.iter().enumerate() {
                validate_configuration(configuration.opaque.as_ref(), &path.index(index), errors);
            }
        }
        if let Some(name) = self.spec.extended_resource_name.as_ref().filter(|name| !is_extended(name)) {
            let path = SPEC.field("extendedResourceName");
            errors.invalid(&path, name, "must be a valid extended resource name");
        }
    }
}
