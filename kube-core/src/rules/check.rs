//! The vocabulary of validation: what rules say about single values. Good values cost no allocation.

use super::same;
use crate::field::{Errors, Json, Path, format};
use crate::quantity::{Quantity, QuantityText};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;
use std::collections::BTreeMap;

/// An optional text, absent read as empty.
pub(super) fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("")
}

/// The items of an optional list.
pub(super) fn items<T>(list: &Option<Vec<T>>) -> &[T] {
    list.as_deref().unwrap_or_default()
}

/// Whether an optional map is absent or empty.
pub(super) fn is_empty<K, V>(map: &Option<BTreeMap<K, V>>) -> bool {
    map.as_ref().is_none_or(BTreeMap::is_empty)
}

/// Whether a selector asks nothing.
pub(super) fn asks_nothing(selector: &LabelSelector) -> bool {
    is_empty(&selector.match_labels) && items(&selector.match_expressions).is_empty()
}

/// Whether a selector is not there, or `{}`.
pub(super) fn is_absent(selector: &LabelSelector) -> bool {
    *selector == LabelSelector::default()
}

/// Whether an earlier item of a list has the same key. For the short lists of the API this beats building a set.
pub(super) fn is_repeated<T, K: PartialEq>(list: &[T], index: usize, key: impl Fn(&T) -> K) -> bool {
    let mut earlier = list.iter().take(index);
    list.get(index).is_some_and(|item| earlier.any(|other| key(other) == key(item)))
}

/// Whether an earlier item of a list is the same.
pub(super) fn is_seen<T: PartialEq>(list: &[T], index: usize) -> bool {
    list.get(index).is_some_and(|item| list.iter().take(index).any(|earlier| earlier == item))
}

/// Whether bytes are absent or empty.
pub(super) fn is_empty_bytes(bytes: &Option<ByteString>) -> bool {
    bytes.as_ref().is_none_or(|bytes| bytes.0.is_empty())
}

/// The number in front of the `%` of a percentage, or the plain number. Upstream's reading: other texts count as 0.
pub(super) fn int_or_percent_value(value: &IntOrString) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => text.strip_suffix('%').unwrap_or(text).parse().unwrap_or(0),
    }
}

/// A whole number of either width, given or not.
pub(super) trait Count {
    /// The number, if given.
    fn count(self) -> Option<i64>;
}

impl<N: Into<i64>> Count for Option<N> {
    fn count(self) -> Option<i64> {
        self.map(Into::into)
    }
}

impl Count for i32 {
    fn count(self) -> Option<i64> {
        Some(self.into())
    }
}

impl Count for i64 {
    fn count(self) -> Option<i64> {
        Some(self)
    }
}

const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
const BYTES_OF_ANNOTATIONS_MAX: usize = 256 * 1024;

impl Errors {
    /// Zero or more, if given.
    pub(super) fn non_negative(&mut self, path: &Path, value: impl Count) {
        if let Some(value) = value.count().filter(|value| *value < 0) {
            self.invalid(path, value, NOT_NEGATIVE);
        }
    }

    /// One or more, if given.
    pub(super) fn positive(&mut self, path: &Path, value: impl Count) {
        if let Some(value) = value.count().filter(|value| *value <= 0) {
            self.invalid(path, value, "must be greater than zero");
        }
    }

    /// Not empty. Says whether it was.
    pub(super) fn given(&mut self, path: &Path, value: &str) -> bool {
        if value.is_empty() {
            self.required(path, "");
        }
        !value.is_empty()
    }

    /// One of a closed list, empty included only if listed.
    pub(super) fn one_of(&mut self, path: &Path, value: &str, supported: &[&str]) {
        if !supported.contains(&value) {
            self.not_supported(path, value, supported);
        }
    }

    /// Not empty, and one of a closed list.
    pub(super) fn given_one_of(&mut self, path: &Path, value: &str, supported: &[&str]) {
        if self.given(path, value) {
            self.one_of(path, value, supported);
        }
    }

    /// One of a closed list, if given.
    pub(super) fn any_of(&mut self, path: &Path, value: &Option<String>, supported: &[&str]) {
        if let Some(value) = value {
            self.one_of(path, value, supported);
        }
    }

    /// Unchanged.
    pub(super) fn immutable<T: PartialEq + Serialize>(&mut self, path: &Path, new: &T, old: &T) {
        if !same(new, old) {
            self.invalid(path, Json(new), "field is immutable");
        }
    }

    /// A DNS label.
    pub(super) fn dns_label(&mut self, path: &Path, value: &str) {
        self.invalid_each(path, value, format::dns1123_label(value));
    }

    /// A DNS subdomain.
    pub(super) fn dns_subdomain(&mut self, path: &Path, value: &str) {
        self.invalid_each(path, value, format::dns1123_subdomain(value));
    }

    /// A qualified name.
    pub(super) fn qualified_name(&mut self, path: &Path, value: &str) {
        self.invalid_each(path, value, format::label_key(value));
    }

    /// A port's number.
    pub(super) fn port(&mut self, path: &Path, port: i32) {
        self.invalid_each(path, port, format::port_number(port.into()));
    }

    /// The port of a service that the API server calls.
    pub(super) fn port_of_service(&mut self, path: &Path, port: i32) {
        let messages = format::port_number(port.into());
        if !messages.is_empty() {
            self.invalid(path, port, format!("port is not valid: {}", messages.join(", ")));
        }
    }

    /// A port by number or by name.
    pub(super) fn port_or_name(&mut self, path: &Path, port: &IntOrString) {
        match port {
            IntOrString::Int(number) => self.port(path, *number),
            IntOrString::String(name) => self.invalid_each(path, name, format::port_name(name)),
        }
    }

    /// A whole number of zero or more, or a percentage.
    pub(super) fn int_or_percent(&mut self, path: &Path, value: &IntOrString) {
        match value {
            IntOrString::Int(number) => self.non_negative(path, *number),
            IntOrString::String(text) => self.invalid_each(path, text, format::percent(text)),
        }
    }

    /// If a percentage, then at most 100 %.
    pub(super) fn at_most_100_percent(&mut self, path: &Path, value: &IntOrString) {
        if let IntOrString::String(text) = value
            && format::percent(text).is_empty()
            && int_or_percent_value(value) > 100
        {
            self.invalid(path, text, "must not be greater than 100%");
        }
    }

    /// An IP address.
    pub(super) fn ip_address(&mut self, path: &Path, value: &str) {
        self.invalid_each(path, value, format::ip_address(value));
    }

    /// A block of IP addresses.
    pub(super) fn cidr(&mut self, path: &Path, value: &str) {
        self.invalid_each(path, value, format::cidr(value));
    }

    /// An amount that parses. The error for one that does not is upstream's decoding error; here it has a place.
    pub(super) fn quantity(&mut self, path: &Path, text: &QuantityText) -> Option<Quantity> {
        Quantity::try_from(text).map_err(|error| self.invalid(path, &text.0, error.to_string())).ok()
    }

    /// An amount of zero or more.
    pub(super) fn non_negative_quantity(&mut self, path: &Path, text: &QuantityText) -> Option<Quantity> {
        let quantity = self.quantity(path, text)?;
        if quantity.is_negative() {
            self.invalid(path, quantity.to_string(), NOT_NEGATIVE);
        }
        Some(quantity)
    }

    /// Labels: qualified names and label values.
    pub(super) fn labels(&mut self, path: &Path, labels: &Option<BTreeMap<String, String>>) {
        for (key, value) in labels.iter().flatten() {
            self.qualified_name(path, key);
            self.invalid_each(path, value, format::label_value(value));
        }
    }

    /// Annotations: qualified names in any case, 256 KiB in all.
    pub(super) fn annotations(&mut self, path: &Path, annotations: &Option<BTreeMap<String, String>>) {
        let mut bytes = 0;
        for (key, value) in annotations.iter().flatten() {
            let messages = match key.bytes().any(|byte| byte.is_ascii_uppercase()) {
                true => format::label_key(&key.to_lowercase()),
                false => format::label_key(key),
            };
            self.invalid_each(path, key, messages);
            bytes += key.len() + value.len();
        }
        if bytes > BYTES_OF_ANNOTATIONS_MAX {
            self.too_long(path, BYTES_OF_ANNOTATIONS_MAX);
        }
    }

    /// A label selector.
    pub(super) fn label_selector(&mut self, path: &Path, selector: Option<&LabelSelector>) {
        let Some(selector) = selector else { return };
        self.labels(&path.field("matchLabels"), &selector.match_labels);
        let expressions = path.field("matchExpressions");
        for (index, expression) in items(&selector.match_expressions).iter().enumerate() {
            let path = expressions.index(index);
            let values = items(&expression.values);
            self.selector_operator(&path, &expression.operator, values);
            self.qualified_name(&path.field("key"), &expression.key);
            self.label_values(&path.field("values"), values);
        }
    }

    /// The selector that a workload must have. One that is absent and one that is empty look alike here; the message is that
    /// for the former, which is what happens to people.
    pub(super) fn workload_selector(&mut self, path: &Path, selector: &LabelSelector, owner: &str) {
        self.label_selector(path, Some(selector));
        if is_absent(selector) {
            self.required(path, "");
        } else if asks_nothing(selector) {
            self.invalid(path, Json(selector), format!("empty selector is invalid for {owner}"));
        }
    }

    /// The four operators that label and node selectors share.
    fn selector_operator(&mut self, path: &Path, operator: &str, values: &[String]) {
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                self.required(&path.field("values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                self.forbidden(
                    &path.field("values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                );
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => self.invalid(&path.field("operator"), operator, "not a valid selector operator"),
        }
    }

    /// As above, with the two operators of node selectors that compare numbers.
    pub(super) fn node_selector_operator(&mut self, path: &Path, operator: &str, values: &[String]) {
        match operator {
            "Gt" | "Lt" if values.len() != 1 => {
                self.required(&path.field("values"), "must be specified single value when `operator` is 'Lt' or 'Gt'");
            }
            "Gt" | "Lt" => {}
            _ => self.selector_operator(path, operator, values),
        }
    }

    /// A list of label values.
    pub(super) fn label_values(&mut self, path: &Path, values: &[String]) {
        for (index, value) in values.iter().enumerate() {
            self.invalid_each(&path.index(index), value, format::label_value(value));
        }
    }

    /// A domain and a path: `acme.io/foo`.
    pub(super) fn domain_prefixed_path(&mut self, path: &Path, value: &str) {
        if !self.given(path, value) {
            return;
        }
        let Some((host, rest)) = value.split_once('/').filter(|(host, rest)| !host.is_empty() && !rest.is_empty())
        else {
            return self.invalid(path, value, "must be a domain-prefixed path (such as \"acme.io/foo\")");
        };
        self.dns_subdomain(path, host);
        if !rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte)) {
            let message = r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')";
            self.invalid(path, rest, message);
        }
    }

    /// An address traffic can be sent to: not unspecified, loopback or link-local. Unlike upstream's, pods may have a
    /// loopback address here, so one with a pod behind it is good.
    pub(super) fn endpoint_ip(&mut self, path: &Path, value: &str, target: Option<&ObjectReference>) {
        let Ok(address) = value.parse::<std::net::IpAddr>() else {
            return self.invalid(path, value, "must be a valid IP address");
        };
        let (link_local, link_local_multicast) = match address {
            std::net::IpAddr::V4(v4) => (v4.is_link_local(), v4.octets().starts_with(&[224, 0, 0])),
            std::net::IpAddr::V6(v6) => {
                (v6.is_unicast_link_local(), v6.segments().first().is_some_and(|it| it & 0xff0f == 0xff02))
            }
        };
        if address.is_unspecified() {
            self.invalid(path, value, format!("may not be unspecified ({value})"));
        }
        let is_pod = target.is_some_and(|target| target.kind.as_deref() == Some("Pod"));
        if address.is_loopback() && !is_pod {
            self.invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
        }
        if link_local {
            self.invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
        }
        if link_local_multicast {
            self.invalid(path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
        }
    }
}
