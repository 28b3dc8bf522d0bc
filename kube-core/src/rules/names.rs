//! The vocabulary of names of things outside the API: drivers, signers, hosts, addresses.

use crate::field::{Errors, Path, format, quote};
use std::net::IpAddr;

const DRIVER_BYTES_MAX: usize = 63;
const SUBDOMAIN_BYTES_MAX: usize = 253;
/// `<domain>/<namespace>.<name>` with each part at its longest.
const SIGNER_BYTES_MAX: usize = 571;

impl Errors {
    /// Not empty, and safe as one segment of a URL path: the kind or the name of an object of any kind.
    pub(super) fn given_path_segment(&mut self, path: &Path, value: &str) {
        if self.given(path, value) {
            self.path_segment(path, value);
        }
    }

    /// Safe as one segment of a URL path.
    pub(super) fn path_segment(&mut self, path: &Path, value: &str) {
        self.invalid_each(path, value, format::path_segment(value));
    }

    /// The name of a driver of volumes or devices: a DNS subdomain in any case, at most 63 characters.
    pub(super) fn driver_name(&mut self, path: &Path, value: &str) {
        self.given(path, value);
        if value.len() > DRIVER_BYTES_MAX {
            self.too_long(path, DRIVER_BYTES_MAX);
        }
        self.invalid_each(path, value, format::dns1123_subdomain(&value.to_lowercase()));
    }

    /// A domain of three segments or more: `hook.example.com`.
    pub(super) fn fully_qualified_name(&mut self, path: &Path, value: &str) {
        if !self.given(path, value) {
            return;
        }
        let messages = format::dns1123_subdomain(value);
        if !messages.is_empty() {
            self.invalid(path, value, messages.join(","));
        } else if value.split('.').count() < 3 {
            self.invalid(path, value, "should be a domain with at least three segments separated by dots");
        }
    }

    /// Who signs a certificate: `example.com/name`.
    pub(super) fn signer_name(&mut self, path: &Path, value: &str) {
        if !self.given(path, value) {
            return;
        }
        let Some((domain, name)) = value.split_once('/').filter(|(_, name)| !name.contains('/')) else {
            let message = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
            return self.invalid(path, value, message);
        };
        if domain.len() > SUBDOMAIN_BYTES_MAX {
            self.too_long(path, SUBDOMAIN_BYTES_MAX);
        }
        self.first_bad_label(path, domain, format::dns1123_label);
        if !domain.contains('.') {
            self.invalid(path, domain, "should be a domain with at least two segments separated by dots");
        }
        self.first_bad_label(path, name, format::dns1123_subdomain);
        if value.len() > SIGNER_BYTES_MAX {
            self.too_long(path, SIGNER_BYTES_MAX);
        }
    }

    fn first_bad_label(&mut self, path: &Path, value: &str, check: fn(&str) -> format::Messages) {
        let bad = value.split('.').map(|label| (label, check(label))).find(|(_, messages)| !messages.is_empty());
        for message in bad.iter().flat_map(|(_, messages)| messages) {
            let label = bad.as_ref().map_or("", |(label, _)| label);
            self.invalid(path, value, std::format!("validating label {}: {message}", quote(label)));
        }
    }

    /// A block of addresses, written the one canonical way.
    pub(super) fn canonical_cidr(&mut self, path: &Path, value: &str) {
        let messages = format::cidr(value);
        if !messages.is_empty() {
            return self.invalid_each(path, value, messages);
        }
        let Some((address, length)) = value.split_once('/') else { return };
        let Some(canonical) = address.parse::<IpAddr>().ok().map(|address| std::format!("{address}/{length}")) else {
            return;
        };
        if canonical != value {
            self.invalid(path, value, not_canonical(&canonical));
        }
    }
}

/// What is wrong with an object's name that must be a canonical IP address.
pub(super) fn canonical_ip_address(name: &str, _prefix: bool) -> format::Messages {
    let messages = format::ip_address(name);
    match name.parse::<IpAddr>() {
        Ok(address) if messages.is_empty() && address.to_string() != name => vec![not_canonical(&address.to_string())],
        _ => messages,
    }
}

fn not_canonical(canonical: &str) -> String {
    std::format!("must be in canonical form ({})", quote(canonical))
}
