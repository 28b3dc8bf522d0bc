//! Types that only functions can look into.

use std::net::IpAddr;

use super::authorization::{Check, Decision, Who};
use super::named_format::NamedFormat;
use super::network::Cidr;
use super::url::Url;
use super::version::Version;
use crate::quantity::Quantity;

/// A value that only functions can look into.
#[derive(Clone, Debug, PartialEq)]
pub enum Opaque {
    /// `quantity('1Gi')`
    Quantity(Quantity),
    /// `url('https://example.com/')`
    Url(Url),
    /// `ip('10.0.0.1')`
    Ip(IpAddr),
    /// `cidr('10.0.0.0/8')`
    Cidr(Cidr),
    /// `semver('1.2.3')`
    Version(Version),
    /// `format.dns1123Label()`
    Format(NamedFormat),
    /// `authorizer`: asks for its user, or for a ServiceAccount.
    Authorizer(Who),
    /// `authorizer.group('apps')`
    Group(Who, String),
    /// A question for the authorizer that lacks its verb.
    Check(Check),
    /// The authorizer's answer.
    Decision(Decision),
}

const NAMES: [(&str, &str); 10] = [
    ("quantity", "kubernetes.Quantity"),
    ("url", "kubernetes.URL"),
    ("ip", "net.IP"),
    ("cidr", "net.CIDR"),
    ("semver", "kubernetes.Semver"),
    ("format", "kubernetes.NamedFormat"),
    ("authorizer", "kubernetes.authorization.Authorizer"),
    ("group", "kubernetes.authorization.GroupCheck"),
    ("resource", "kubernetes.authorization.ResourceCheck"),
    ("path", "kubernetes.authorization.PathCheck"),
];
const DECISION: &str = "kubernetes.authorization.Decision";

/// The type that signatures call by a short name.
pub(super) fn full_name(short: &str) -> Option<&'static str> {
    let known = NAMES.into_iter().find(|(name, _)| *name == short).map(|(_, full)| full);
    known.or_else(|| (short == "decision").then_some(DECISION))
}

impl Opaque {
    pub(in crate::cel) fn type_name(&self) -> &'static str {
        let short = match self {
            Self::Quantity(_) => "quantity",
            Self::Url(_) => "url",
            Self::Ip(_) => "ip",
            Self::Cidr(_) => "cidr",
            Self::Version(_) => "semver",
            Self::Format(_) => "format",
            Self::Authorizer(_) => "authorizer",
            Self::Group(..) => "group",
            Self::Check(check) if check.attributes.path.is_some() => "path",
            Self::Check(_) => "resource",
            Self::Decision(_) => return DECISION,
        };
        full_name(short).unwrap_or("dyn")
    }

    pub(in crate::cel) fn size(&self) -> u64 {
        match self {
            Self::Ip(address) | Self::Cidr(Cidr { address, .. }) => {
                if address.is_ipv4() {
                    4
                } else {
                    16
                }
            }
            _ => 1,
        }
    }
}
