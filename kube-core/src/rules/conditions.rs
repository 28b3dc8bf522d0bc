//! Conditions of the newer kinds, which have the one type of the meta group. Source: `ValidateConditions`.

use crate::field::{Errors, Path, format};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

const REASON_BYTES_MAX: usize = 1024;
const MESSAGE_BYTES_MAX: usize = 32 * 1024;

/// Checks a list of conditions, one of each type.
pub(super) fn validate(conditions: &[Condition], path: &Path, errors: &mut Errors) {
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        if conditions.iter().take(index).any(|earlier| earlier.type_ == condition.type_) {
            errors.duplicate(&path.field("type"), &condition.type_);
        }
        validate_one(condition, &path, errors);
    }
}

fn validate_one(condition: &Condition, path: &Path, errors: &mut Errors) {
    errors.qualified_name(&path.field("type"), &condition.type_);
    errors.one_of(&path.field("status"), &condition.status, &["False", "True", "Unknown"]);
    if let Some(generation) = condition.observed_generation.filter(|generation| *generation < 0) {
        errors.invalid(&path.field("observedGeneration"), generation, "must be greater than or equal to zero");
    }
    let reason = &condition.reason;
    if reason.is_empty() {
        errors.required(&path.field("reason"), "must be set");
    } else {
        errors.invalid_each(&path.field("reason"), reason, format::condition_reason(reason));
        if reason.len() > REASON_BYTES_MAX {
            errors.too_long(&path.field("reason"), REASON_BYTES_MAX);
        }
    }
    if condition.message.len() > MESSAGE_BYTES_MAX {
        errors.too_long(&path.field("message"), MESSAGE_BYTES_MAX);
    }
}
