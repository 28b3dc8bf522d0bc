//! Kubernetes quantities: `500m`, `1Gi`, `12e6`. Exact fixed-point numbers that remember how their writer likes to see them.
//!
//! - [`Quantity`]: the number (in billionths) and its [`Format`]; comparing, adding, rounding
//! - `parse`: text to number, in one pass and without allocating
//! - `print`: number to the one canonical text
//!
//! Source of the behaviour: apimachinery `pkg/api/resource`.

mod parse;
mod print;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

pub use parse::{QuantityError, canonical};

/// The text behind a quantity in API objects, as k8s-openapi spells it.
pub type QuantityText = k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Billionths in one.
const NANO: i128 = 1_000_000_000;
/// Billionths in a thousandth.
const NANO_PER_MILLI: i128 = 1_000_000;

/// Which family of suffixes a quantity is printed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Powers of ten as letters: `500m`, `12M`. The default.
    #[default]
    DecimalSi,
    /// Powers of 1024: `12Mi`. Values that are small or fractional print as decimals.
    BinarySi,
    /// Powers of ten as exponents: `12e6`.
    DecimalExponent,
}

/// An exact amount of some resource, down to a billionth.
///
/// Comparison, equality and hash look at the number only: `1` equals `1000m`. Holds up to about 1.7e29 units either way;
/// sums beyond that saturate. Binary quantities are capped at `i64::MAX` when parsed, as upstream does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    nano: i128,
    format: Format,
}

impl Quantity {
    /// Nothing, in decimal format.
    pub const ZERO: Quantity = Quantity { nano: 0, format: Format::DecimalSi };

    /// `units` whole units, printed in `format`.
    pub const fn new(units: i64, format: Format) -> Self {
        Quantity { nano: units as i128 * NANO, format }
    }

    /// `milli` thousandths, in decimal format: how CPU is counted.
    pub const fn from_milli(milli: i64) -> Self {
        Quantity { nano: milli as i128 * NANO_PER_MILLI, format: Format::DecimalSi }
    }

    /// `nano` billionths, printed in `format`.
    pub const fn from_nano(nano: i128, format: Format) -> Self {
        Quantity { nano, format }
    }

    /// Reads a quantity from its text; the error says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        parse::parse(text)
    }

    /// Billionths, exactly.
    pub const fn nano(&self) -> i128 {
        self.nano
    }

    /// The format it prints in.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Whole units, rounded away from zero. Saturates at the bounds of `i64`.
    pub fn value(&self) -> i64 {
        saturate(divide_away_from_zero(self.nano, NANO))
    }

    /// Thousandths, rounded away from zero. Saturates at the bounds of `i64`.
    pub fn milli_value(&self) -> i64 {
        saturate(divide_away_from_zero(self.nano, NANO_PER_MILLI))
    }

    /// The same amount with nothing finer than a thousandth, rounded away from zero.
    pub fn round_up_to_milli(&self) -> Self {
        Quantity { nano: divide_away_from_zero(self.nano, NANO_PER_MILLI).saturating_mul(NANO_PER_MILLI), ..*self }
    }

    /// Whether it is a whole number of units.
    pub const fn is_integer(&self) -> bool {
        self.nano % NANO == 0
    }

    /// Whether it is nothing.
    pub const fn is_zero(&self) -> bool {
        self.nano == 0
    }

    /// Whether it is below nothing.
    pub const fn is_negative(&self) -> bool {
        self.nano < 0
    }

    /// A float near it, for ratios and scores.
    pub fn as_f64(&self) -> f64 {
        self.nano as f64 / NANO as f64
    }
}

fn divide_away_from_zero(nano: i128, divisor: i128) -> i128 {
    let quotient = nano / divisor;
    if nano % divisor == 0 { quotient } else { quotient + nano.signum() }
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// A sum takes the left side's format, or the right side's when the left is zero.
fn combined_format(left: &Quantity, right: &Quantity) -> Format {
    if left.is_zero() { right.format } else { left.format }
}

impl Add for Quantity {
    type Output = Quantity;
    fn add(self, other: Quantity) -> Quantity {
        Quantity { nano: self.nano.saturating_add(other.nano), format: combined_format(&self, &other) }
    }
}

impl Sub for Quantity {
    type Output = Quantity;
    fn sub(self, other: Quantity) -> Quantity {
        Quantity { nano: self.nano.saturating_sub(other.nano), format: combined_format(&self, &other) }
    }
}

impl Neg for Quantity {
    type Output = Quantity;
    fn neg(self) -> Quantity {
        Quantity { nano: self.nano.saturating_neg(), ..self }
    }
}

impl AddAssign for Quantity {
    fn add_assign(&mut self, other: Quantity) {
        *self = *self + other;
    }
}

impl SubAssign for Quantity {
    fn sub_assign(&mut self, other: Quantity) {
        *self = *self - other;
    }
}

impl std::iter::Sum for Quantity {
    fn sum<I: Iterator<Item = Quantity>>(amounts: I) -> Quantity {
        amounts.fold(Quantity::ZERO, Add::add)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl Hash for Quantity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.nano.hash(state);
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

impl std::str::FromStr for Quantity {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        Quantity::parse(text)
    }
}

impl TryFrom<&QuantityText> for Quantity {
    type Error = QuantityError;
    fn try_from(text: &QuantityText) -> Result<Self, QuantityError> {
        Quantity::parse(&text.0)
    }
}

impl From<Quantity> for QuantityText {
    fn from(quantity: Quantity) -> Self {
        k8s_openapi::apimachinery::pkg::api::resource::Quantity(quantity.to_string())
    }
}
