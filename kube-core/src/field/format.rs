//! Checks of single strings and numbers. Each returns the messages for what is wrong; an empty list (no allocation) is good.
//!
//! Upstream checks with regular expressions and prints them in its messages; here the shapes are scanned by hand, and the
//! expressions appear as the text they are. Two families of messages differ in one word only ("bytes", "characters"), since
//! labels and names come from different upstream packages.

/// What is wrong with a value, in upstream's words; empty when nothing is.
pub type Messages = Vec<String>;

const DNS1123_LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const DNS1123_SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const DNS1123_SUBDOMAIN_MESSAGE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const LABEL_KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_KEY_MESSAGE: &str =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const LABEL_KEY_EXAMPLES: &[&str] = &["MyName", "my.name", "123-abc"];
const LABEL_BYTES_MAX: usize = 63;
const SUBDOMAIN_BYTES_MAX: usize = 253;

/// A message, examples, and the expression, put together as upstream does.
fn with_regex(message: &str, regex: &str, examples: &[&str]) -> String {
    let mut text = message.to_owned();
    text.push_str(" (");
    for (position, example) in examples.iter().enumerate() {
        text.push_str(if position == 0 { "e.g. '" } else { " or '" });
        text.push_str(example);
        text.push_str("', ");
    }
    text.push_str("regex used for validation is '");
    text.push_str(regex);
    text.push_str("')");
    text
}

fn at_most(length: usize, unit: &str) -> String {
    format!("must be no more than {length} {unit}")
}

fn between(low: i64, high: i64) -> Messages {
    vec![format!("must be between {low} and {high}, inclusive")]
}

/// Not empty, `edge` bytes at both ends, `inner` bytes in between.
fn shaped(value: &str, edge: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = value.as_bytes();
    bytes.first().is_some_and(|&byte| edge(byte))
        && bytes.last().is_some_and(|&byte| edge(byte))
        && bytes.iter().all(|&byte| inner(byte))
}

fn lower_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn lower_digit_or_dash(byte: u8) -> bool {
    lower_or_digit(byte) || byte == b'-'
}

fn is_label_shaped(value: &str) -> bool {
    shaped(value, lower_or_digit, lower_digit_or_dash)
}

fn is_subdomain_shaped(value: &str) -> bool {
    value.split('.').all(is_label_shaped)
}

fn subdomain_in(value: &str, unit: &str) -> Messages {
    let mut messages = Messages::new();
    if value.len() > SUBDOMAIN_BYTES_MAX {
        messages.push(at_most(SUBDOMAIN_BYTES_MAX, unit));
    }
    if !is_subdomain_shaped(value) {
        messages.push(with_regex(DNS1123_SUBDOMAIN_MESSAGE, DNS1123_SUBDOMAIN, &["example.com"]));
    }
    messages
}

/// A DNS subdomain (RFC 1123): the name of most objects. At most 253 characters.
pub fn dns1123_subdomain(value: &str) -> Messages {
    subdomain_in(value, "characters")
}

/// As [`dns1123_subdomain`], with underscores too: search domains of a resolver.
pub fn dns1123_subdomain_with_underscore(value: &str) -> Messages {
    let mut messages = Messages::new();
    if value.len() > SUBDOMAIN_BYTES_MAX {
        messages.push(at_most(SUBDOMAIN_BYTES_MAX, "characters"));
    }
    let is_label = |label: &str| {
        let rest = label.strip_prefix('_').unwrap_or(label);
        shaped(rest, lower_or_digit, |byte| lower_digit_or_dash(byte) || byte == b'_')
    };
    if !value.split('.').all(is_label) {
        messages.push(with_regex(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
            "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*",
            &["example.com"],
        ));
    }
    messages
}

/// A DNS label (RFC 1123): namespaces, containers. At most 63 characters.
pub fn dns1123_label(value: &str) -> Messages {
    let mut messages = Messages::new();
    if value.len() > LABEL_BYTES_MAX {
        messages.push(at_most(LABEL_BYTES_MAX, "characters"));
    }
    if !is_label_shaped(value) {
        messages.push(if is_subdomain_shaped(value) {
            "must not contain dots".to_owned()
        } else {
            with_regex(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
                DNS1123_LABEL,
                &["my-name", "123-abc"],
            )
        });
    }
    messages
}

/// A DNS label that starts with a letter (RFC 1035). At most 63 characters.
pub fn dns1035_label(value: &str) -> Messages {
    let mut messages = Messages::new();
    if value.len() > LABEL_BYTES_MAX {
        messages.push(at_most(LABEL_BYTES_MAX, "characters"));
    }
    if !is_label_shaped(value) || !value.starts_with(|first: char| first.is_ascii_lowercase()) {
        messages.push(with_regex(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
            "[a-z]([-a-z0-9]*[a-z0-9])?",
            &["my-name", "abc-123"],
        ));
    }
    messages
}

/// A DNS subdomain behind `*.`, for hosts of an Ingress.
pub fn wildcard_subdomain(value: &str) -> Messages {
    let mut messages = Messages::new();
    if value.len() > SUBDOMAIN_BYTES_MAX {
        messages.push(at_most(SUBDOMAIN_BYTES_MAX, "characters"));
    }
    if !value.strip_prefix("*.").is_some_and(is_subdomain_shaped) {
        messages.push(with_regex(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
            &format!("\\*\\.{DNS1123_SUBDOMAIN}"),
            &["*.example.com"],
        ));
    }
    messages
}

/// A name that is safe as one segment of a URL path: RBAC objects.
pub fn path_segment(value: &str) -> Messages {
    match value {
        "." | ".." => vec![format!("may not be '{value}'")],
        _ => path_segment_prefix(value),
    }
}

/// The beginning of a [`path_segment`].
pub fn path_segment_prefix(value: &str) -> Messages {
    ["/", "%"]
        .into_iter()
        .filter(|illegal| value.contains(illegal))
        .map(|it| format!("may not contain '{it}'"))
        .collect()
}

fn is_label_key_shaped(value: &str) -> bool {
    shaped(value, |byte| byte.is_ascii_alphanumeric(), |byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// A qualified name: the key of a label or annotation, a resource, a finalizer, a condition type. `[prefix/]name`.
pub fn label_key(value: &str) -> Messages {
    let mut messages = Messages::new();
    let name = match value.split_once('/') {
        None => value,
        Some((_, name)) if name.contains('/') => {
            let message = with_regex(LABEL_KEY_MESSAGE, LABEL_KEY, LABEL_KEY_EXAMPLES);
            return vec![format!(
                "a valid label key {message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
        Some(("", name)) => {
            messages.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            messages.extend(subdomain_in(prefix, "bytes").into_iter().map(|message| format!("prefix part {message}")));
            name
        }
    };
    if name.is_empty() {
        messages.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_BYTES_MAX {
        messages.push(format!("name part {}", at_most(LABEL_BYTES_MAX, "bytes")));
    }
    if !is_label_key_shaped(name) {
        messages.push(format!("name part {}", with_regex(LABEL_KEY_MESSAGE, LABEL_KEY, LABEL_KEY_EXAMPLES)));
    }
    messages
}

/// The value of a label: empty, or a name of at most 63 bytes.
pub fn label_value(value: &str) -> Messages {
    let mut messages = Messages::new();
    if value.len() > LABEL_BYTES_MAX {
        messages.push(at_most(LABEL_BYTES_MAX, "bytes"));
    }
    if !value.is_empty() && !is_label_key_shaped(value) {
        messages.push(with_regex(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            &format!("({LABEL_KEY})?"),
            &["MyValue", "my_value", "12345"],
        ));
    }
    messages
}

/// The name of an environment variable: printable ASCII but `=`.
pub fn env_var_name(value: &str) -> Messages {
    if value.is_empty() {
        return vec!["environment variable name must be non-empty".to_owned()];
    }
    if value.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=') {
        return Messages::new();
    }
    vec!["a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned()]
}

/// A key in a ConfigMap or Secret.
pub fn config_key(value: &str) -> Messages {
    let mut messages = Messages::new();
    if value.len() > SUBDOMAIN_BYTES_MAX {
        messages.push(at_most(SUBDOMAIN_BYTES_MAX, "characters"));
    }
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        messages.push(with_regex(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match value {
        "." | ".." => messages.push(format!("must not be '{value}'")),
        _ if value.starts_with("..") => messages.push("must not start with '..'".to_owned()),
        _ => {}
    }
    messages
}

/// The number of a TCP, UDP or SCTP port: 1 to 65535.
pub fn port_number(port: i64) -> Messages {
    in_range(port, 1, 65535)
}

/// A number within bounds, both included.
pub fn in_range(value: i64, low: i64, high: i64) -> Messages {
    if (low..=high).contains(&value) { Messages::new() } else { between(low, high) }
}

/// The number of a user or group: 0 to 2^31 - 1.
pub fn user_or_group_id(id: i64) -> Messages {
    in_range(id, 0, i32::MAX.into())
}

/// The name of a port (an IANA service name): at most 15 of `a-z`, `0-9` and single inner dashes, one letter at least.
pub fn port_name(value: &str) -> Messages {
    const LENGTH_MAX: usize = 15;
    let checks = [
        (
            !value.is_empty() && value.bytes().all(lower_digit_or_dash),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (value.bytes().any(|byte| byte.is_ascii_lowercase()), "must contain at least one letter (a-z)"),
        (!value.contains("--"), "must not contain consecutive hyphens"),
        (!value.starts_with('-') && !value.ends_with('-'), "must not begin or end with a hyphen"),
    ];
    let too_long = (value.len() > LENGTH_MAX).then(|| at_most(LENGTH_MAX, "characters"));
    too_long
        .into_iter()
        .chain(checks.into_iter().filter(|(good, _)| !good).map(|(_, message)| message.to_owned()))
        .collect()
}

/// A percentage: digits and `%`.
pub fn percent(value: &str) -> Messages {
    let digits = value.strip_suffix('%').unwrap_or("");
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Messages::new();
    }
    let message = "a valid percent string must be a numeric string followed by an ending '%'";
    vec![with_regex(message, "[0-9]+%", &["1%", "93%"])]
}

/// The name of an HTTP header.
pub fn http_header_name(value: &str) -> Messages {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Messages::new();
    }
    let message = "a valid HTTP header must consist of alphanumeric characters or '-'";
    vec![with_regex(message, "[-A-Za-z0-9]+", &["X-Header-Name"])]
}

/// The reason of a condition.
pub fn condition_reason(value: &str) -> Messages {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_,:".contains(&byte);
    let good = value.starts_with(|first: char| first.is_ascii_alphabetic())
        && shaped(value, |byte| byte.is_ascii_alphanumeric() || byte == b'_', inner);
    if good {
        return Messages::new();
    }
    vec![with_regex(
        "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'",
        "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?",
        &["my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"],
    )]
}

/// An IP address, version 4 or 6, without leading zeros and not mapped.
pub fn ip_address(value: &str) -> Messages {
    use std::net::IpAddr;
    match value.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
            vec!["must not be an IPv4-mapped IPv6 address".to_owned()]
        }
        Ok(_) => Messages::new(),
        Err(_) if has_leading_zeros(value) => vec!["must not have leading 0s".to_owned()],
        Err(_) => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
    }
}

/// Whether it is an IPv4 address but for zeros in front of a number.
fn has_leading_zeros(value: &str) -> bool {
    let numbers = value.split('.').map(|number| match number.trim_start_matches('0') {
        "" if !number.is_empty() => "0",
        trimmed => trimmed,
    });
    numbers.collect::<Vec<_>>().join(".").parse::<std::net::Ipv4Addr>().is_ok()
}

/// A block of addresses such as `10.9.8.0/24`, written with no bits beyond its prefix.
pub fn cidr(value: &str) -> Messages {
    let invalid = || vec!["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)".to_owned()];
    let Some((address, length)) = value.split_once('/') else { return invalid() };
    let (Ok(address), Ok(length)) = (address.parse::<std::net::IpAddr>(), length.parse::<u32>()) else {
        return invalid();
    };
    let (bits, width) = match address {
        std::net::IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        std::net::IpAddr::V6(address) => (address.to_bits(), 128),
    };
    if length > width {
        return invalid();
    }
    if bits.checked_shl(length).unwrap_or(0) != 0 {
        return vec!["must not have bits set beyond the prefix length".to_owned()];
    }
    Messages::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(check: fn(&str) -> Messages, good: &[&str], bad: &[(&str, &str)]) {
        for value in good {
            assert_eq!(check(value), Messages::new(), "{value:?}");
        }
        for (value, start) in bad {
            let messages = check(value).join("; ");
            assert!(messages.starts_with(start), "{value:?}: {messages}");
        }
    }

    #[test]
    fn names() {
        let long_label = "a".repeat(64);
        let long_name = "a".repeat(254);
        check(
            dns1123_subdomain,
            &["a", "a.b", "1-a.2"],
            &[
                (
                    "",
                    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                ),
                ("a..b", "a lowercase"),
                ("A", "a lowercase"),
                (&long_name, "must be no more than 253 characters"),
            ],
        );
        check(
            dns1123_label,
            &["a", "0", "a-b"],
            &[
                ("a.b", "must not contain dots"),
                (
                    "-a",
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
                ),
                (&long_label, "must be no more than 63 characters"),
            ],
        );
        check(dns1035_label, &["a", "a-1"], &[("1a", "a DNS-1035 label must consist"), ("a.b", "a DNS-1035")]);
        check(wildcard_subdomain, &["*.a.b"], &[("a.b", "a wildcard DNS-1123"), ("*.*.b", "a wildcard")]);
        check(
            path_segment,
            &["system:node", "a b"],
            &[("..", "may not be '..'"), ("a/b%", "may not contain '/'; may not contain '%'")],
        );
    }

    #[test]
    fn labels() {
        let long = "a".repeat(64);
        check(
            label_key,
            &["app", "example.com/App_1", "a.b"],
            &[
                ("", "name part must be non-empty; name part must consist of"),
                ("/a", "prefix part must be non-empty"),
                ("a/", "name part must be non-empty"),
                (
                    "a/b/c",
                    "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                ),
                ("A/b", "prefix part a lowercase RFC 1123 subdomain"),
                (&long, "name part must be no more than 63 bytes"),
            ],
        );
        check(
            label_value,
            &["", "a", "A_b.c"],
            &[("-a", "a valid label must be an empty string"), (&long, "must be no more than 63 bytes")],
        );
    }

    #[test]
    fn others() {
        check(
            env_var_name,
            &["A", "a.b-c", "1"],
            &[("", "environment variable name must be non-empty"), ("a=b", "a valid environment")],
        );
        check(
            config_key,
            &["a", "A.b_c-d"],
            &[
                ("", "a valid config key"),
                ("..", "must not be '..'"),
                ("..a", "must not start with '..'"),
                ("a/b", "a valid config key"),
            ],
        );
        check(
            port_name,
            &["http", "a-1"],
            &[
                ("", "must contain only"),
                ("1", "must contain at least one letter"),
                ("a--b", "must not contain consecutive"),
                ("abcdefghijklmnop", "must be no more than 15 characters"),
            ],
        );
        check(percent, &["1%", "100%"], &[("1", "a valid percent string"), ("%", "a valid"), ("-1%", "a valid")]);
        check(
            ip_address,
            &["10.0.0.1", "::1"],
            &[
                ("10.0.0", "must be a valid IP"),
                ("010.0.0.1", "must not have leading 0s"),
                ("::ffff:1.2.3.4", "must not be an IPv4-mapped"),
            ],
        );
        check(
            cidr,
            &["10.0.0.0/8", "::/0", "1.2.3.4/32", "0.0.0.0/0"],
            &[
                ("10.0.0.0", "must be a valid CIDR"),
                ("10.0.0.1/8", "must not have bits"),
                ("10.0.0.0/33", "must be a valid CIDR"),
            ],
        );
        assert_eq!(port_number(0), ["must be between 1 and 65535, inclusive"]);
    }
}
