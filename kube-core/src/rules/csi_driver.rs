//! CSIDriver.

use super::check::is_repeated;
use super::{Ruled, fill, spec_only};
use crate::field::{Errors, Path};
use k8s_openapi::api::storage::v1::{CSIDriver, TokenRequest};

const SPEC: Path<'static> = Path::new("spec");
const FS_GROUP_POLICIES: &[&str] = &["File", "None", "ReadWriteOnceWithFSType"];
const TEN_MINUTES: i64 = 600;

impl Ruled for CSIDriver {
    spec_only!();

    fn fill_defaults(&mut self) {
        let spec = &mut self.spec;
        fill::value(&mut spec.attach_required, true);
        fill::value(&mut spec.pod_info_on_mount, false);
        fill::value(&mut spec.storage_capacity, false);
        fill::value(&mut spec.fs_group_policy, "ReadWriteOnceWithFSType".to_owned());
        if spec.volume_lifecycle_modes.as_ref().is_none_or(Vec::is_empty) {
            spec.volume_lifecycle_modes = Some(vec!["Persistent".to_owned()]);
        }
        fill::value(&mut spec.requires_republish, false);
        fill::value(&mut spec.se_linux_mount, false);
    }

    fn validate(&self, errors: &mut Errors) {
        let spec = &self.spec;
        errors.any_of(&SPEC.field("fsGroupPolicy"), &spec.fs_group_policy, FS_GROUP_POLICIES);
        validate_tokens(spec.token_requests.as_deref().unwrap_or_default(), &SPEC.field("tokenRequests"), errors);
        for mode in spec.volume_lifecycle_modes.iter().flatten() {
            errors.one_of(&SPEC.field("volumeLifecycleModes"), mode, &["Persistent", "Ephemeral"]);
        }
        if let Some(seconds) = spec.node_allocatable_update_period_seconds.filter(|seconds| *seconds < 10) {
            let path = SPEC.field("nodeAllocatableUpdatePeriodSeconds");
            errors.invalid(&path, seconds, "must be greater than or equal to 10 seconds");
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        // The first field's name is upstream's.
        let (new, old) = (&self.spec, &old.spec);
        errors.immutable(&SPEC.field("attachedRequired"), &new.attach_required, &old.attach_required);
        errors.immutable(&SPEC.field("volumeLifecycleModes"), &new.volume_lifecycle_modes, &old.volume_lifecycle_modes);
    }
}

fn validate_tokens(requests: &[TokenRequest], path: &Path, errors: &mut Errors) {
    for (index, request) in requests.iter().enumerate() {
        let path = path.index(index);
        if is_repeated(requests, index, |request| request.audience.clone()) {
            errors.duplicate(&path.field("audience"), &request.audience);
            continue;
        }
        let Some(seconds) = request.expiration_seconds else { continue };
        let path = path.field("expirationSeconds");
        if seconds < TEN_MINUTES {
            errors.invalid(&path, seconds, "may not specify a duration less than 10 minutes");
        }
        if seconds > 1 << 32 {
            errors.invalid(&path, seconds, "may not specify a duration larger than 2^32 seconds");
        }
    }
}
