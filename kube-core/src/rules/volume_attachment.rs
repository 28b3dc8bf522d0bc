//! VolumeAttachment.

use super::persistent_volume::validate_inline_spec;
use super::{Ruled, status_apart};
use crate::field::{Errors, Path, format};
use k8s_openapi::api::storage::v1::{VolumeAttachment, VolumeAttachmentSource, VolumeError};

const SPEC: Path<'static> = Path::new("spec");
const METADATA_BYTES_MAX: usize = 256 * 1024;
const MESSAGE_BYTES_MAX: usize = 1024;

impl Ruled for VolumeAttachment {
    status_apart!();

    fn validate(&self, errors: &mut Errors) {
        validate_common(self, errors);
        errors.driver_name(&SPEC.field("attacher"), &self.spec.attacher);
        if let Some(name) = &self.spec.source.persistent_volume_name {
            errors.dns_subdomain(&SPEC.field("source").field("persistentVolumeName"), name);
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        validate_common(self, errors);
        errors.immutable(&SPEC, &self.spec, &old.spec);
    }

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        validate_common(self, errors);
    }
}

fn validate_common(attachment: &VolumeAttachment, errors: &mut Errors) {
    errors.given(&SPEC.field("attacher"), &attachment.spec.attacher);
    validate_source(&attachment.spec.source, &SPEC.field("source"), errors);
    errors.dns_subdomain(&SPEC.field("nodeName"), &attachment.spec.node_name);
    let path = Path::new("status");
    let Some(status) = &attachment.status else { return };
    let bytes: usize = status.attachment_metadata.iter().flatten().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > METADATA_BYTES_MAX {
        errors.too_long(&path.field("attachmentMetadata"), METADATA_BYTES_MAX);
    }
    validate_error(status.attach_error.as_ref(), &path.field("attachError"), errors);
    validate_error(status.detach_error.as_ref(), &path.field("detachError"), errors);
}

fn validate_source(source: &VolumeAttachmentSource, path: &Path, errors: &mut Errors) {
    const ONE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    match (&source.inline_volume_spec, source.persistent_volume_name.as_deref()) {
        (None, None) => errors.required(path, ONE),
        (Some(_), Some(_)) => errors.forbidden(path, ONE),
        (None, Some("")) => {
            errors.required(&path.field("persistentVolumeName"), "must specify non empty persistentVolumeName");
        }
        (None, Some(_)) => {}
        (Some(spec), None) => validate_inline_spec(spec, &path.field("inlineVolumeSpec"), errors),
    }
}

fn validate_error(error: Option<&VolumeError>, path: &Path, errors: &mut Errors) {
    let Some(error) = error else { return };
    if error.message.as_ref().is_some_and(|message| message.len() > MESSAGE_BYTES_MAX) {
        // Upstream names the limit of the metadata.
        errors.too_long(&path.field("message"), METADATA_BYTES_MAX);
    }
    if let Some(code) = error.error_code.filter(|code| *code < 0) {
        errors.invalid_each(&path.field("errorCode"), code, format::in_range(code.into(), 0, i32::MAX.into()));
    }
}
