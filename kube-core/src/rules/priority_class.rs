//! PriorityClass.

use super::check::text;
use super::{Ruled, fill};
use crate::field::{Errors, Path};
use k8s_openapi::api::scheduling::v1::PriorityClass;

const HIGHEST_OF_USERS: i32 = 1_000_000_000;
const SYSTEM_PREFIX: &str = "system-";

/// The classes that may bear the system's prefix, with their values.
const SYSTEM_CLASSES: [(&str, i32); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

impl Ruled for PriorityClass {
    const HAS_GENERATION: bool = true;

    fn fill_defaults(&mut self) {
        fill::value(&mut self.preemption_policy, "PreemptLowerPriority".to_owned());
    }

    fn validate(&self, errors: &mut Errors) {
        if text(&self.metadata.name).starts_with(SYSTEM_PREFIX) {
            if let Some(reason) = why_not_system(self) {
                let message = format!(
                    "priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {reason}"
                );
                errors.forbidden(&Path::new("metadata.name"), message);
            }
        } else if self.value.unwrap_or(0) > HIGHEST_OF_USERS {
            let message = format!("maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}");
            errors.forbidden(&Path::new("value"), message);
        }
        if let Some(policy) = &self.preemption_policy {
            errors.given_one_of(&Path::new("preemptionPolicy"), policy, &["PreemptLowerPriority", "Never"]);
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        if self.value.unwrap_or(0) != old.value.unwrap_or(0) {
            errors.forbidden(&Path::new("value"), "may not be changed in an update.");
        }
        errors.immutable(&Path::new("preemptionPolicy"), &self.preemption_policy, &old.preemption_policy);
    }
}

fn why_not_system(class: &PriorityClass) -> Option<String> {
    let name = text(&class.metadata.name);
    let Some((_, value)) = SYSTEM_CLASSES.iter().find(|(known, _)| *known == name) else {
        return Some(format!("{name} is not a known system priority class"));
    };
    if class.value.unwrap_or(0) != *value {
        return Some(format!("value of {name} PriorityClass must be {value}"));
    }
    (class.global_default == Some(true)).then(|| format!("globalDefault of {name} PriorityClass must be false"))
}
