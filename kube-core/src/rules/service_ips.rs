//! The cluster IPs of a Service and their families: how they fit together, and what a change may do.

use super::check::{items, text};
use crate::field::{Errors, Json, Path, format};
use k8s_openapi::api::core::v1::ServiceSpec;

const CLUSTER_IPS: Path<'static> = Path::new("spec.clusterIPs");
const IP_FAMILIES: Path<'static> = Path::new("spec.ipFamilies");
const IP_FAMILY_POLICY: Path<'static> = Path::new("spec.ipFamilyPolicy");

/// Whether it asks for no cluster IP.
pub(super) fn is_headless(spec: &ServiceSpec) -> bool {
    matches!(items(&spec.cluster_ips), [only] if only == "None")
        || (items(&spec.cluster_ips).is_empty() && text(&spec.cluster_ip) == "None")
}

fn is_external_name(spec: &ServiceSpec) -> bool {
    text(&spec.type_) == "ExternalName"
}

pub(super) fn validate(spec: &ServiceSpec, errors: &mut Errors) {
    if is_external_name(spec) {
        return;
    }
    let (first, ips, families) = (text(&spec.cluster_ip), items(&spec.cluster_ips), items(&spec.ip_families));
    match (first, ips.first()) {
        ("", Some(_)) => errors.invalid(&CLUSTER_IPS, Json(ips), "must be empty when `clusterIP` is not specified"),
        (first, Some(listed)) if listed != first => {
            errors.invalid(&CLUSTER_IPS, Json(ips), "first value must match `clusterIP`");
        }
        // Upstream's server copies clusterIP into clusterIPs before this, as does our allocation.
        _ => {}
    }
    for (index, family) in families.iter().enumerate() {
        errors.one_of(&IP_FAMILIES.index(index), family, &["IPv4", "IPv6"]);
        if families.iter().take(index).any(|earlier| earlier == family) {
            errors.duplicate(&IP_FAMILIES.index(index), family);
        }
    }
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    errors.any_of(&IP_FAMILY_POLICY, &spec.ip_family_policy, &policies);
    if validate_addresses(ips, errors) && !is_headless(spec) {
        validate_families(ips, families, errors);
    }
}

/// Checks each address; says whether all were good.
fn validate_addresses(ips: &[String], errors: &mut Errors) -> bool {
    let before = errors.len();
    for (index, ip) in ips.iter().enumerate() {
        if index > 0 || ip != "None" {
            errors.invalid_each(&CLUSTER_IPS.index(index), ip, format::ip_address(ip));
        } else if ips.len() > 1 {
            errors.invalid(&CLUSTER_IPS, Json(ips), "'None' must be the first and only value");
        }
    }
    let good = errors.len() == before;
    if ips.len() > 2 {
        errors.invalid(&CLUSTER_IPS, Json(ips), "may only hold up to 2 values");
    }
    good
}

fn validate_families(ips: &[String], families: &[String], errors: &mut Errors) {
    let is_v6 = |ip: &String| ip.contains(':');
    if let [first, rest @ ..] = ips
        && !rest.is_empty()
        && rest.iter().all(|ip| is_v6(ip) == is_v6(first))
    {
        errors.invalid(&CLUSTER_IPS, Json(ips), "may specify no more than one IP for each IP family");
    }
    for (index, (ip, family)) in ips.iter().zip(families).enumerate() {
        if (family == "IPv4" && is_v6(ip)) || (family == "IPv6" && !is_v6(ip)) {
            let message = std::format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
            errors.invalid(&CLUSTER_IPS.index(index), ip, message);
        }
    }
}

pub(super) fn validate_update(new: &ServiceSpec, old: &ServiceSpec, errors: &mut Errors) {
    if is_external_name(new) || is_external_name(old) {
        return;
    }
    let (headless, was_headless) = (is_headless(new), is_headless(old));
    if !(headless && was_headless) {
        let words = ["primary clusterIP can not be unset", "secondary clusterIP"];
        validate_list_update(&CLUSTER_IPS, items(&new.cluster_ips), items(&old.cluster_ips), new, words, errors);
    }
    if !headless && !was_headless {
        let words = ["primary ipFamily can not be unset", "secondary ipFamily"];
        validate_list_update(&IP_FAMILIES, items(&new.ip_families), items(&old.ip_families), new, words, errors);
    }
}

/// The first entry stays once set; the second may come, and may go if the policy says so.
fn validate_list_update(
    path: &Path,
    new: &[String],
    old: &[String],
    spec: &ServiceSpec,
    [unset, released]: [&str; 2],
    errors: &mut Errors,
) {
    let changed = "may not change once set";
    if new.len() == old.len() {
        for (index, _) in old.iter().zip(new).enumerate().filter(|(_, (old, new))| old != new) {
            errors.invalid(&path.index(index), Json(new), changed);
        }
        return;
    }
    match (old.first(), new.first()) {
        (Some(_), None) => errors.invalid(&path.index(0), Json(new), unset),
        (Some(old), Some(new_first)) if old != new_first => errors.invalid(&path.index(0), Json(new), changed),
        _ => {}
    }
    if old.len() > new.len() && new.len() == 1 && text(&spec.ip_family_policy) != "SingleStack" {
        let message = std::format!("must be set to 'SingleStack' when releasing the {released}");
        errors.invalid(&IP_FAMILY_POLICY, &spec.ip_family_policy, message);
    }
}
