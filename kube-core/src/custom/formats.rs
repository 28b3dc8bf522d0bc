//! Formats of strings. Those that are not listed accept anything. Source: kube-openapi `validation/strfmt`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine as _;

/// Whether a string has a format.
pub(crate) fn fits(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "duration" => is_duration(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_cidr(text),
        "mac" => is_mac(text),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => is_uuid(text, format),
        "byte" => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
        "email" => is_email(text),
        "uri" => is_uri(text),
        "hostname" => is_hostname(text),
        "k8s-short-name" => crate::field::format::dns1123_label(text).is_empty(),
        "k8s-long-name" => crate::field::format::dns1123_subdomain(text).is_empty(),
        _ => true,
    }
}

/// Go's durations, such as `1h30m`, and words such as `2 days`. Source: strfmt `ParseDuration`.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    const UNITS: [&str; 28] = [
        "nanoseconds",
        "nanosecond",
        "nanos",
        "nano",
        "ns",
        "microseconds",
        "microsecond",
        "micros",
        "micro",
        "us",
        "µs",
        "milliseconds",
        "millisecond",
        "millis",
        "milli",
        "ms",
        "seconds",
        "second",
        "secs",
        "sec",
        "minutes",
        "minute",
        "mins",
        "min",
        "hours",
        "hour",
        "days",
        "day",
    ];
    const SHORT: [&str; 8] = ["hrs", "hr", "weeks", "week", "h", "m", "s", "d"];
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let (number, unit) = rest.split_at(digits);
        if number.parse::<f64>().is_err() {
            return false;
        }
        let unit = unit.trim_start();
        let known = UNITS.iter().chain(&SHORT).find_map(|name| unit.strip_prefix(name));
        let Some(after) = known.or_else(|| unit.strip_prefix('w')) else { return false };
        rest = after;
        parts += 1;
    }
    parts > 0
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let width = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= width)
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    matches!(parts.len(), 6 | 8 | 20) && parts.iter().all(|part| part.len() == 2 && is_hexadecimal(part))
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Hyphens may be left out; numbered formats ask for their version.
fn is_uuid(text: &str, format: &str) -> bool {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    let is_grouped = matches!(groups.as_slice(), [32] | [8, 4, 4, 4, 12]);
    let version = format.strip_prefix("uuid").unwrap_or("");
    let has_version = version.is_empty() || digits.get(12..13) == Some(version);
    is_grouped && digits.len() == 32 && is_hexadecimal(&digits) && has_version
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let address = text.trim_end_matches('>');
    !local.is_empty() && !domain.is_empty() && !address.ends_with('@') && !domain.contains(' ')
}

/// Absolute, or a path from the root. Source: Go `url.ParseRequestURI`.
fn is_uri(text: &str) -> bool {
    let has_scheme = text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
    });
    (has_scheme || text.starts_with('/')) && !text.chars().any(|letter| letter.is_control() || letter == ' ')
}

fn is_hostname(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
    };
    text.len() < 256 && text.trim_end_matches('.').split('.').all(is_label)
}
