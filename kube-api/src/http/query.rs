//! Query parameters: their wire form, and the options that clients write in them.

use std::time::Duration;

use coracle_core::Status;
use coracle_core::selector::{FieldSelector, Selector};

use crate::read::{ListOptions, VersionMatch};

/// Decoded query parameters in the order sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the part of a URI after `?`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(name, true), percent_decode(value, true))
        });
        Self(pairs.collect())
    }

    /// The first value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Replaces all values of a parameter.
    pub fn set(&mut self, name: &str, values: Vec<String>) {
        self.0.retain(|(known, _)| known != name);
        self.0.extend(values.into_iter().map(|value| (name.to_owned(), value)));
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is there and not empty.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// A yes or no. A parameter without a value is a yes. Source: apimachinery `Convert_Slice_string_To_bool`.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| !(value == "0" || value.eq_ignore_ascii_case("false")))
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400 in the words of Go's parser.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Status> {
        let Some(value) = self.get(name).filter(|value| !value.is_empty()) else { return Ok(None) };
        let refuse = |_| Status::bad_request(format!("strconv.ParseInt: parsing {value:?}: invalid syntax"));
        value.parse().map(Some).map_err(refuse)
    }

    /// The options of list, watch and delete of a collection, checked.
    ///
    /// # Errors
    /// 400 if one cannot be read, 422 if they contradict each other.
    pub fn list_options(&self, watch: bool) -> Result<ListOptions, Status> {
        let labels = Selector::parse(self.text("labelSelector"));
        let fields = FieldSelector::parse(self.text("fieldSelector"));
        let options = ListOptions {
            labels: labels.map_err(|error| Status::bad_request(error.to_string()))?,
            fields: fields.map_err(|error| Status::bad_request(error.to_string()))?,
            watch,
            limit: self.number("limit")?.and_then(|limit| u64::try_from(limit).ok()).unwrap_or(0),
            continue_token: self.text("continue").to_owned(),
            resource_version: self.text("resourceVersion").to_owned(),
            version_match: VersionMatch::from(self.text("resourceVersionMatch")),
            timeout: self
                .number("timeoutSeconds")?
                .and_then(|seconds| u64::try_from(seconds).ok())
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
            bookmarks: self.flag("allowWatchBookmarks").unwrap_or(false),
            send_initial_events: self.flag("sendInitialEvents"),
        };
        options.validate()?;
        Ok(options)
    }

    /// How long the client wants to wait for an answer. Source: the `timeout` parameter, a Go duration such as `30s`.
    ///
    /// # Errors
    /// 400 if it is no duration.
    pub fn timeout(&self) -> Result<Option<Duration>, Status> {
        let Some(text) = self.get("timeout").filter(|text| !text.is_empty()) else { return Ok(None) };
        let refuse = || {
            let why = format!("time: invalid duration {text:?}");
            Status::bad_request(format!("invalid timeout specified in the request URL - {why}"))
        };
        parse_duration(text).map(Some).ok_or_else(refuse)
    }
}

/// A Go duration of non-negative parts: `1h30m`, `1.5s`, `250ms`, `0`.
fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|character: char| character.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    if text.is_empty() { None } else { Duration::try_from_secs_f64(seconds).ok() }
}

/// Undoes percent-encoding; in queries `+` is a space. What is no valid encoding stays as it is.
#[must_use]
pub fn percent_decode(text: &str, in_query: bool) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some((first, rest)) = bytes.split_first() {
        let pair = rest.split_at_checked(2).and_then(|(pair, after)| Some((hex(pair)?, after)));
        bytes = match (first, pair) {
            (b'%', Some((byte, after))) => {
                decoded.push(byte);
                after
            }
            (b'+', _) if in_query => {
                decoded.push(b' ');
                rest
            }
            (byte, _) => {
                decoded.push(*byte);
                rest
            }
        };
    }
    String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn hex(pair: &[u8]) -> Option<u8> {
    if !pair.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("labelSelector=a%3Db%2Cc+in+(d)&dryRun=All&dryRun=x&watch&limit=x&bad=%zz");
        assert_eq!(query.get("labelSelector"), Some("a=b,c in (d)"));
        assert_eq!(query.all("dryRun").collect::<Vec<_>>(), ["All", "x"]);
        assert_eq!(query.flag("watch"), Some(true));
        assert_eq!(query.flag("follow"), None);
        assert_eq!(query.get("bad"), Some("%zz"));
        let refused = query.number("limit").unwrap_err();
        assert_eq!(refused.message(), "strconv.ParseInt: parsing \"x\": invalid syntax");
    }

    #[test]
    fn durations() {
        for (text, milliseconds) in [("30s", 30_000), ("1m30s", 90_000), ("1.5s", 1_500), ("250ms", 250), ("0", 0)] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "5", "s", "5x", "-1s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(Query::parse("timeout=5x").timeout().unwrap_err().code(), 400);
    }
}
