//! How several printers spell the same things.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use coracle_core::quantity;
use coracle_core::selector::Selector;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub(super) const NONE: &str = "<none>";
pub(super) const UNSET: &str = "<unset>";
pub(super) const UNKNOWN: &str = "<unknown>";

/// The text of an optional field; empty if absent.
pub(super) fn plain(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or("")
}

/// The text, or `instead` if there is none.
pub(super) fn or<'a>(text: &'a str, instead: &'a str) -> &'a str {
    if text.is_empty() { instead } else { text }
}

/// The text of an optional field, or `instead` if it is absent. Unlike [`or`], an empty text stays.
pub(super) fn given<'a>(field: &'a Option<String>, instead: &'a str) -> &'a str {
    field.as_deref().unwrap_or(instead)
}

/// Names and images of containers, each on one line.
pub(super) fn containers(containers: &[Container]) -> (String, String) {
    let names: Vec<_> = containers.iter().map(|container| container.name.as_str()).collect();
    let images: Vec<_> = containers.iter().map(|container| plain(&container.image)).collect();
    (names.join(","), images.join(","))
}

/// `a=1,b=2`. Source: apimachinery `labels.FormatLabels`.
pub(super) fn labels(labels: Option<&BTreeMap<String, String>>) -> String {
    let pairs: Vec<_> = labels.into_iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
    or(&pairs.join(","), NONE).to_owned()
}

/// `a=1,b in (x,y)`. Source: apimachinery `FormatLabelSelector`.
pub(super) fn label_selector(selector: Option<&LabelSelector>) -> String {
    match Selector::from_label_selector(selector) {
        Ok(selector) => or(&selector.to_string(), NONE).to_owned(),
        Err(_) => "<error>".to_owned(),
    }
}

/// A selector as Go prints the struct, which is what bindings of admission policies show.
pub(super) fn selector_struct(selector: &LabelSelector) -> String {
    let mut text = "&LabelSelector{MatchLabels:map[string]string{".to_owned();
    for (key, value) in selector.match_labels.iter().flatten() {
        let _infallible = write!(text, "{key}: {value},");
    }
    text.push_str("},MatchExpressions:[]LabelSelectorRequirement{");
    for expression in selector.match_expressions.iter().flatten() {
        let values = expression.values.as_deref().unwrap_or_default().join(" ");
        let (key, operator) = (&expression.key, &expression.operator);
        let _infallible = write!(text, "LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{values}],}},");
    }
    text.push_str("},}");
    text
}

/// A quantity in its canonical form; `0` if it is absent.
pub(super) fn quantity(quantity: Option<&Quantity>) -> String {
    let text = quantity.map_or("0", |quantity| &quantity.0);
    quantity::canonical(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}

/// An integer or a percentage.
pub(super) fn int_or_string(value: &IntOrString) -> String {
    match value {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => text.clone(),
    }
}

/// The first `shown` of several texts: `a,b,c + 2 more...`.
pub(super) fn first(texts: &[String], shown: usize, separator: &str) -> String {
    let list = texts.iter().take(shown).map(String::as_str).collect::<Vec<_>>().join(separator);
    match texts.len().checked_sub(shown) {
        Some(more) if more > 0 => format!("{list} + {more} more..."),
        _ => list,
    }
}

/// Addresses of a load balancer, sorted, none twice: an IP if it has one, else its host name.
pub(super) fn load_balancer<'a>(
    ingresses: impl IntoIterator<Item = (&'a Option<String>, &'a Option<String>)>,
) -> Vec<&'a str> {
    let addresses = ingresses.into_iter().map(|(ip, hostname)| or(plain(ip), plain(hostname)));
    addresses.filter(|address| !address.is_empty()).collect::<BTreeSet<_>>().into_iter().collect()
}
