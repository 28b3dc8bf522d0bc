//! Volumes made of several sources.

use super::{local_path, validate_downward_file, validate_file, validate_mode};
use crate::field::{Errors, Path};
use crate::rules::check::{items, text};
use crate::rules::pod_spec::Context;
use k8s_openapi::api::core::v1::{ProjectedVolumeSource, VolumeProjection};

pub(super) fn validate(projected: &ProjectedVolumeSource, context: &Context, path: &Path, errors: &mut Errors) {
    validate_mode(projected.default_mode, &path.field("defaultMode"), errors);
    let mut seen: Vec<&str> = Vec::new();
    for (index, source) in items(&projected.sources).iter().enumerate() {
        let sources_path = path.field("sources");
        let source_path = sources_path.index(index);
        validate_projection(source, context, path, &source_path, errors);
        for (file, shown) in projected_files(source).filter(|(file, _)| !file.is_empty()) {
            if seen.contains(&file) {
                errors.invalid(path, shown, "conflicting duplicate paths");
            } else {
                seen.push(file);
            }
        }
    }
}

/// The files a source makes, each with what an error about it shows.
fn projected_files(source: &VolumeProjection) -> impl Iterator<Item = (&str, &str)> {
    let secret = source.secret.iter().flat_map(|it| items(&it.items).iter().map(|file| (&*file.path, &*it.name)));
    let config = source.config_map.iter().flat_map(|it| items(&it.items).iter().map(|file| (&*file.path, &*it.name)));
    let downward = source.downward_api.iter().flat_map(|it| items(&it.items)).map(|file| (&*file.path, &*file.path));
    secret.chain(config).chain(downward)
}

fn validate_projection(
    source: &VolumeProjection,
    context: &Context,
    volume_path: &Path,
    path: &Path,
    errors: &mut Errors,
) {
    const TEN_MINUTES: i64 = 600;
    let named = [
        ("secret", source.secret.as_ref().map(|it| (&it.name, &it.items))),
        ("configMap", source.config_map.as_ref().map(|it| (&it.name, &it.items))),
    ];
    for (field, (name, files)) in named.into_iter().filter_map(|(field, given)| Some((field, given?))) {
        let path = path.field(field);
        errors.given(&path.field("name"), name);
        for (index, file) in items(files).iter().enumerate() {
            validate_file(file, &path.field("items").index(index), errors);
        }
    }
    for file in source.downward_api.iter().flat_map(|downward| items(&downward.items)) {
        validate_downward_file(file, &path.field("downwardAPI"), errors);
    }
    if let Some(token) = &source.service_account_token {
        let path = path.field("serviceAccountToken");
        let seconds = token.expiration_seconds.unwrap_or(0);
        if seconds < TEN_MINUTES {
            errors.invalid(
                &path.field("expirationSeconds"),
                seconds,
                "may not specify a duration less than 10 minutes",
            );
        }
        if seconds > 1 << 32 {
            let message = "may not specify a duration larger than 2^32 seconds";
            errors.invalid(&path.field("expirationSeconds"), seconds, message);
        }
        if errors.given(&volume_path.field("path"), &token.path) {
            local_path(&token.path, &volume_path.field("path"), errors);
        }
        if context.is_pod() && text(&context.spec.service_account_name).is_empty() {
            errors.forbidden(&path, "must not be specified when serviceAccountName is not set");
        }
    }
    let given = [
        source.secret.is_some(),
        source.config_map.is_some(),
        source.downward_api.is_some(),
        source.service_account_token.is_some(),
        source.cluster_trust_bundle.is_some(),
        source.pod_certificate.is_some(),
    ];
    if given.into_iter().filter(|given| *given).count() > 1 {
        errors.forbidden(path, "may not specify more than 1 volume type per source");
    }
}
