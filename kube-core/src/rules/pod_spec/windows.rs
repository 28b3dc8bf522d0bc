//! Pods of Windows nodes.

use crate::field::{Errors, Path, format};
use crate::rules::check::items;
use k8s_openapi::api::core::v1::{Container, PodSpec, WindowsSecurityContextOptions};

const CREDENTIAL_SPEC_KIB_MAX: usize = 64;
const DOMAIN_CHARACTERS_MAX: usize = 256;
const USER_CHARACTERS_MAX: usize = 104;

/// Checks the options of a pod or a container.
pub(super) fn validate_options(options: Option<&WindowsSecurityContextOptions>, path: &Path, errors: &mut Errors) {
    let path = path.field("windowsOptions");
    let Some(options) = options else { return };
    if let Some(name) = &options.gmsa_credential_spec_name {
        errors.dns_subdomain(&path.field("gmsaCredentialSpecName"), name);
    }
    if let Some(spec) = &options.gmsa_credential_spec {
        let path = path.field("gmsaCredentialSpec");
        if spec.is_empty() {
            errors.invalid(&path, spec, "gmsaCredentialSpec cannot be an empty string");
        } else if spec.len() > CREDENTIAL_SPEC_KIB_MAX * 1024 {
            let message = std::format!("gmsaCredentialSpec size must be under {CREDENTIAL_SPEC_KIB_MAX} KiB");
            errors.invalid(&path, spec, message);
        }
    }
    if let Some(name) = &options.run_as_user_name {
        for message in what_is_wrong_with_user(name) {
            errors.invalid(&path.field("runAsUserName"), name, std::format!("runAsUserName{message}"));
        }
    }
}

/// `user` or `DOMAIN\user`.
fn what_is_wrong_with_user(name: &str) -> Vec<String> {
    if name.is_empty() {
        return vec![" cannot be an empty string".to_owned()];
    }
    if name.contains(|it: char| it.is_ascii_control()) {
        return vec![" cannot contain control characters".to_owned()];
    }
    if name.matches('\\').count() > 1 {
        return vec![" cannot contain more than one backslash".to_owned()];
    }
    let (domain, user) = name.split_once('\\').map_or((None, name), |(domain, user)| (Some(domain), user));
    let mut messages = Vec::new();
    if domain.is_some_and(|domain| domain.len() >= DOMAIN_CHARACTERS_MAX) {
        messages.push(std::format!("'s Domain length must be under {DOMAIN_CHARACTERS_MAX} characters"));
    }
    if domain.is_some_and(|domain| !is_net_bios(domain) && !is_dns(domain)) {
        messages.push("'s Domain doesn't match the NetBios nor the DNS format".to_owned());
    }
    if user.is_empty() {
        messages.push("'s User cannot be empty".to_owned());
    } else if user.len() > USER_CHARACTERS_MAX {
        messages.push(std::format!("'s User length must not be longer than {USER_CHARACTERS_MAX} characters"));
    }
    if !user.is_empty() && user.chars().all(|it| it == '.' || it == ' ') {
        messages.push("'s User cannot contain only periods or spaces".to_owned());
    }
    if user.contains(|it| r#""/\:;|=,+*?<>@[]"#.contains(it)) {
        messages.push(r#"'s User cannot contain the following characters: "/\:;|=,+*?<>@[]"#.to_owned());
    }
    messages
}

fn is_net_bios(domain: &str) -> bool {
    let length = domain.chars().count();
    (1..=15).contains(&length) && !domain.starts_with('.') && !domain.contains(|it| r#"\/:*?"<>|"#.contains(it))
}

/// A DNS name whose letters may be of any case.
fn is_dns(domain: &str) -> bool {
    format::dns1123_subdomain(&domain.to_lowercase()).is_empty()
}

/// Checks that either all containers are processes of the host, or none, and that such pods use the host's network.
pub(super) fn validate_host_processes(spec: &PodSpec, path: &Path, errors: &mut Errors) {
    let of_pod = spec.security_context.as_ref().and_then(|security| host_process(security.windows_options.as_ref()));
    let mut counts = (0, 0);
    for (field, containers) in
        [("initContainers", items(&spec.init_containers)), ("containers", spec.containers.as_slice())]
    {
        for (index, container) in containers.iter().enumerate() {
            let own = of_container(container);
            if let (Some(of_pod), Some(own)) = (of_pod, own)
                && of_pod != own
            {
                let path = path.field(field);
                let path = path.index(index);
                let message =
                    std::format!("pod hostProcess value must be identical if both are specified, was {of_pod}");
                errors.invalid(&path.field("securityContext.windowsOptions.hostProcess"), own, message);
            }
            counts = (counts.0 + 1, counts.1 + i32::from(own.or(of_pod) == Some(true)));
        }
    }
    if counts.1 == 0 {
        return;
    }
    if counts.0 != counts.1 {
        let message = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.invalid(path, "", message);
    }
    if spec.host_network != Some(true) {
        let message = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.invalid(&path.field("hostNetwork"), false, message);
    }
}

fn of_container(container: &Container) -> Option<bool> {
    host_process(container.security_context.as_ref().and_then(|security| security.windows_options.as_ref()))
}

fn host_process(options: Option<&WindowsSecurityContextOptions>) -> Option<bool> {
    options.and_then(|options| options.host_process)
}
