//! Volumes made of several sources.

use super::{local_path, validate_downward_file, validate_file, validate_mode};
use crate::field::{Errors, Json, Path, format};
use crate::rules::check::{items, text};
use crate::rules::pod_spec::Context;
use k8s_openapi::api::core::v1::{
    ClusterTrustBundleProjection, PodCertificateProjection, ProjectedVolumeSource, VolumeProjection,
};

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
    let bundle = source.cluster_trust_bundle.iter().map(|it| (&*it.path, &*it.path));
    let certificate = source.pod_certificate.iter().flat_map(|it| certificate_files(it).map(|(_, file)| (file, file)));
    secret.chain(config).chain(downward).chain(bundle).chain(certificate)
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
    if let Some(bundle) = &source.cluster_trust_bundle {
        validate_trust_bundle(bundle, &path.field("clusterTrustBundle"), errors);
    }
    if let Some(certificate) = &source.pod_certificate {
        validate_certificate(certificate, &path.field("podCertificate"), errors);
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

fn validate_trust_bundle(bundle: &ClusterTrustBundleProjection, path: &Path, errors: &mut Errors) {
    const EITHER: &str = "only one of name and signerName may be used";
    match (&bundle.name, &bundle.signer_name) {
        (Some(_), Some(_)) => errors.invalid(path, Json(bundle), EITHER),
        (Some(name), None) => {
            validate_bundle_name(name, &path.field("name"), errors);
            if bundle.label_selector.is_some() {
                let message = "labelSelector must be unset if name is specified";
                errors.invalid(&path.field("labelSelector"), Json(&bundle.label_selector), message);
            }
        }
        (None, Some(signer)) => {
            if signer.is_empty() {
                errors.required(&path.field("signerName"), "must be a valid signer name");
            }
            errors.signer_name(&path.field("signerName"), signer);
            errors.label_selector(&path.field("labelSelector"), bundle.label_selector.as_ref());
        }
        (None, None) => errors.required(path, "either name or signerName must be specified"),
    }
    errors.given(&path.field("path"), &bundle.path);
    local_path(&bundle.path, &path.field("path"), errors);
}

/// `name`, or `signer.domain:signer:name` of a signer's own bundle.
fn validate_bundle_name(name: &str, path: &Path, errors: &mut Errors) {
    if name.is_empty() {
        errors.required(path, "must be a valid object name");
    }
    let own = name.rsplit_once(':').map_or(name, |(_, own)| own);
    for message in format::dns1123_subdomain(own) {
        errors.invalid(path, name, std::format!("not a valid clustertrustbundlename: {message}"));
    }
}

/// The files a certificate is written to: the field's name, and its path.
fn certificate_files(certificate: &PodCertificateProjection) -> impl Iterator<Item = (&'static str, &str)> {
    let files = [
        ("credentialBundlePath", text(&certificate.credential_bundle_path)),
        ("keyPath", text(&certificate.key_path)),
        ("certificateChainPath", text(&certificate.certificate_chain_path)),
    ];
    files.into_iter().filter(|(_, file)| !file.is_empty())
}

fn validate_certificate(certificate: &PodCertificateProjection, path: &Path, errors: &mut Errors) {
    const KEY_TYPES: &[&str] = &["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
    const HOUR: i32 = 3600;
    errors.signer_name(&path.field("signerName"), &certificate.signer_name);
    errors.one_of(&path.field("keyType"), &certificate.key_type, KEY_TYPES);
    if let Some(seconds) = certificate.max_expiration_seconds {
        let domain = certificate.signer_name.split('/').next().unwrap_or_default();
        let is_own = domain == "kubernetes.io" || domain.ends_with(".kubernetes.io");
        let most = if is_own { 24 * HOUR } else { 91 * 24 * HOUR };
        let path = path.field("maxExpirationSeconds");
        if seconds < HOUR {
            errors.invalid(&path, seconds, "if provided, maxExpirationSeconds must be >= 3600");
        }
        if seconds > most {
            errors.invalid(&path, seconds, std::format!("if provided, maxExpirationSeconds must be <= {most}"));
        }
    }
    for (field, file) in certificate_files(certificate) {
        local_path(file, &path.field(field), errors);
    }
    if certificate_files(certificate).next().is_none() {
        let message = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath";
        errors.required(path, message);
    }
}
