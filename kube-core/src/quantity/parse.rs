//! Text to quantity, in one pass over the bytes.

use super::{Format, NANO, Quantity};
use std::borrow::Cow;

/// Why a text is no quantity. The messages are upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The text has not the shape sign, number, suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The number is larger than a quantity can hold.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// The suffix is none of the known ones.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// Fraction digits that still count; the rest only rounds the last of them up.
const FRACTION_DIGITS_MAX: u32 = 25;

/// What one pass over the text found.
struct Scanned<'a> {
    negative: bool,
    /// The integer digits as a number; `None` when it does not fit.
    integer: Option<u128>,
    integer_digits: u32,
    /// The first [`FRACTION_DIGITS_MAX`] digits after the point, as a number.
    fraction: u128,
    fraction_digits: u32,
    /// All digits after the point, also those not in `fraction`.
    fraction_digits_written: u32,
    /// Whether a non-zero digit was left out of `fraction`.
    inexact: bool,
    /// How many zeros the number's digits end in.
    trailing_zeros: u32,
    suffix: &'a str,
}

pub(super) fn parse(text: &str) -> Result<Quantity, QuantityError> {
    interpret(&scan(text)?).map(|(quantity, _)| quantity)
}

/// The text under which upstream would store this quantity, borrowed when it is the text itself.
///
/// Upstream keeps a text as written if its digits already sit in the right group of thousands (`1.500`, `+5Ki`), and prints
/// anything else canonically (`1000m` becomes `1`).
pub fn canonical(text: &str) -> Result<Cow<'_, str>, QuantityError> {
    let text = text.trim();
    let scanned = scan(text)?;
    let (quantity, keep) = interpret(&scanned)?;
    Ok(if keep || text == "0" { Cow::Borrowed(text) } else { Cow::Owned(quantity.to_string()) })
}

fn scan(text: &str) -> Result<Scanned<'_>, QuantityError> {
    if text.is_empty() {
        return Err(QuantityError::Format);
    }
    let negative = text.starts_with('-');
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut scanned = Scanned {
        negative,
        integer: Some(0),
        integer_digits: 0,
        fraction: 0,
        fraction_digits: 0,
        fraction_digits_written: 0,
        inexact: false,
        trailing_zeros: 0,
        suffix: "",
    };
    let after_integer = unsigned.trim_start_matches('0');
    let digits = leading_digits(after_integer);
    scanned.read_integer(digits);
    let mut rest = after_integer.get(digits.len()..).unwrap_or("");
    if let Some(after_point) = rest.strip_prefix('.') {
        let digits = leading_digits(after_point);
        scanned.read_fraction(digits);
        rest = after_point.get(digits.len()..).unwrap_or("");
    }
    check_suffix_shape(rest)?;
    scanned.suffix = rest;
    Ok(scanned)
}

fn leading_digits(text: &str) -> &str {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end).unwrap_or("")
}

fn check_suffix_shape(suffix: &str) -> Result<(), QuantityError> {
    let after_letters = suffix.trim_start_matches(['e', 'E', 'i', 'n', 'u', 'm', 'k', 'K', 'M', 'G', 'T', 'P']);
    let exponent = after_letters.strip_prefix(['-', '+']).unwrap_or(after_letters);
    if exponent.bytes().all(|byte| byte.is_ascii_digit()) { Ok(()) } else { Err(QuantityError::Format) }
}

impl Scanned<'_> {
    fn read_integer(&mut self, digits: &str) {
        for byte in digits.bytes() {
            let digit = byte - b'0';
            self.integer = self.integer.and_then(|integer| integer.checked_mul(10)?.checked_add(digit.into()));
            self.count_zero(digit);
        }
        self.integer_digits = digits.len() as u32;
    }

    fn read_fraction(&mut self, digits: &str) {
        for byte in digits.bytes() {
            let digit = byte - b'0';
            if self.fraction_digits < FRACTION_DIGITS_MAX {
                self.fraction = self.fraction * 10 + u128::from(digit);
                self.fraction_digits += 1;
            } else {
                self.inexact |= digit != 0;
            }
            self.count_zero(digit);
        }
        self.fraction_digits_written = digits.len() as u32;
    }

    fn count_zero(&mut self, digit: u8) {
        self.trailing_zeros = if digit == 0 { self.trailing_zeros + 1 } else { 0 };
    }
}

/// What a suffix multiplies by, and the format it stands for.
enum Scale {
    Ten(i32),
    Two(u32),
}

fn interpret_suffix(suffix: &str) -> Result<(Scale, Format), QuantityError> {
    use Scale::{Ten, Two};
    let decimal = |exponent| Ok((Ten(exponent), Format::DecimalSi));
    let binary = |exponent| Ok((Two(exponent), Format::BinarySi));
    match suffix {
        "" => decimal(0),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E']).and_then(|digits| digits.parse().ok());
            Ok((Ten(exponent.ok_or(QuantityError::Suffix)?), Format::DecimalExponent))
        }
    }
}

/// The quantity, and whether upstream would keep the text it was written in.
fn interpret(scanned: &Scanned) -> Result<(Quantity, bool), QuantityError> {
    let (scale, mut format) = interpret_suffix(scanned.suffix)?;
    let (magnitude, keep) = match scale {
        Scale::Ten(exponent) => {
            (decimal_nano(scanned, exponent).ok_or(QuantityError::Numeric)?, keeps_decimal(scanned, exponent))
        }
        Scale::Two(exponent) => {
            let cap = i64::MAX as u128 * NANO as u128;
            (binary_nano(scanned, exponent).map_or(cap, |nano| nano.min(cap)), keeps_binary(scanned, exponent))
        }
    };
    let nano = i128::try_from(magnitude).map_err(|_| QuantityError::Numeric)?;
    if format == Format::BinarySi && nano > 0 && nano < NANO {
        format = Format::DecimalSi;
    }
    Ok((Quantity { nano: if scanned.negative { -nano } else { nano }, format }, keep))
}

/// `integer.fraction * 10^exponent` in billionths, rounded up. `None` when it does not fit.
fn decimal_nano(scanned: &Scanned, exponent: i32) -> Option<u128> {
    let exponent = exponent.saturating_add(9);
    let (whole, whole_rest) = scale_by_ten(scanned.integer?, exponent)?;
    let (part, part_rest) = scale_by_ten(scanned.fraction, exponent.saturating_sub(scanned.fraction_digits as i32))?;
    // The cut-off rests together are less than one billionth, so they round up once.
    let carry = u128::from(whole_rest || part_rest || scanned.inexact);
    whole.checked_add(part)?.checked_add(carry)
}

/// `number * 10^exponent`, truncated, and whether something was cut off.
fn scale_by_ten(number: u128, exponent: i32) -> Option<(u128, bool)> {
    let power = 10u128.checked_pow(exponent.unsigned_abs());
    match (power, exponent >= 0) {
        (_, _) if number == 0 => Some((0, false)),
        (Some(power), true) => Some((number.checked_mul(power)?, false)),
        (Some(power), false) => Some((number / power, !number.is_multiple_of(power))),
        (None, true) => None,
        (None, false) => Some((0, true)),
    }
}

/// `integer.fraction * 2^exponent` in billionths, rounded up. `None` when it does not fit.
fn binary_nano(scanned: &Scanned, exponent: u32) -> Option<u128> {
    let whole = scanned.integer?.checked_mul(1 << exponent)?.checked_mul(NANO as u128)?;
    // 10^9 * 2^e / 10^d = 2^(e + 9 - d) * 5^(9 - d): written so, up to 25 fraction digits fit.
    let digits = scanned.fraction_digits;
    let shifted = if exponent + 9 >= digits {
        (scanned.fraction.checked_mul(1 << (exponent + 9 - digits))?, 1)
    } else {
        (scanned.fraction, 1u128 << (digits - exponent - 9))
    };
    let (numerator, denominator) = if digits <= 9 {
        (shifted.0.checked_mul(5u128.pow(9 - digits))?, shifted.1)
    } else {
        (shifted.0, shifted.1.checked_mul(5u128.pow(digits - 9))?)
    };
    let inexact = scanned.inexact || !numerator.is_multiple_of(denominator);
    whole.checked_add(numerator / denominator)?.checked_add(u128::from(inexact))
}

/// Most decimal digits upstream's small form holds, above which it always prints anew.
const SMALL_DIGITS_MAX: u32 = 18;

fn keeps_decimal(scanned: &Scanned, exponent: i32) -> bool {
    let scale = exponent.saturating_sub(scanned.fraction_digits_written as i32);
    // Upstream writes a missing integer part as the digit 0, and keeps no text that starts with one.
    scanned.integer_digits > 0
        && scanned.integer_digits + scanned.fraction_digits_written <= SMALL_DIGITS_MAX
        && scale >= -9
        && scale % 3 == 0
        && scanned.trailing_zeros < 3
}

fn keeps_binary(scanned: &Scanned, exponent: u32) -> bool {
    let bits_as_digits = exponent * 3 / 10;
    scanned.fraction_digits_written == 0
        && scanned.integer_digits + bits_as_digits < 15
        && scanned.integer.is_some_and(|integer| integer & 7 != 0)
}
