//! Just enough DER to write a certificate around a subject and a key that stay byte for byte what was asked.

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `TRUE`, whole.
pub(super) const TRUE: &[u8] = &[0x01, 0x01, 0xff];

/// One value: its tag, its length, what is in it.
pub(super) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let mut out = vec![tag];
    if length < 0x80 {
        out.extend(digits.last().or(Some(&0)));
    } else {
        // At most eight digits, one for each byte of a length.
        out.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
        out.extend(digits);
    }
    out.extend(content);
    out
}

/// Values one after the other, as one.
pub(super) fn sequence<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    value(SEQUENCE, &parts.into_iter().flatten().copied().collect::<Vec<_>>())
}

/// Whole bytes as a string of bits.
pub(super) fn bits(bytes: &[u8]) -> Vec<u8> {
    value(BIT_STRING, &[&[0], bytes].concat())
}

/// Flags by their numbers, of which there are fewer than 16: a string of bits without zeros at its end.
pub(super) fn flags(numbers: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let set = numbers.into_iter().fold(0_u16, |set, number| set | (0x8000 >> number));
    let bytes: &[u8] = &set.to_be_bytes();
    let kept = 2 - usize::from(set & 0xff == 0) - usize::from(set == 0);
    let unused = if set == 0 { 0 } else { u8::try_from(set.trailing_zeros() % 8).unwrap_or(0) };
    value(BIT_STRING, &[&[unused], bytes.get(..kept).unwrap_or(bytes)].concat())
}

/// A time, to the second, in the form that RFC 5280 wants for its year.
pub(super) fn time(at: Timestamp) -> Vec<u8> {
    let at = at.to_zoned(TimeZone::UTC);
    let (tag, format) =
        if at.year() < 2050 { (UTC_TIME, "%y%m%d%H%M%SZ") } else { (GENERALIZED_TIME, "%Y%m%d%H%M%SZ") };
    value(tag, at.strftime(format).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_flags_and_times() {
        assert_eq!(value(INTEGER, &[]), [2, 0]);
        assert_eq!(value(INTEGER, &[7; 127])[..2], [2, 127]);
        assert_eq!(value(INTEGER, &[7; 128])[..3], [2, 0x81, 128]);
        assert_eq!(value(INTEGER, &[7; 300])[..4], [2, 0x82, 1, 44]);
        assert_eq!(flags([]), [3, 1, 0]);
        assert_eq!(flags([0, 2]), [3, 2, 5, 0xa0]);
        assert_eq!(flags([0, 8]), [3, 3, 7, 0x80, 0x80]);
        assert_eq!(time("2049-12-31T23:59:59Z".parse().unwrap()), b"\x17\x0d491231235959Z");
        assert_eq!(time("2050-01-01T00:00:00Z".parse().unwrap()), b"\x18\x0f20500101000000Z");
    }
}
