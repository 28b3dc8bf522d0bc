//! IP addresses and ranges of them. Source: apiserver `library/ip.go`, `library/cidr.go`.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Call, Opaque, Row};
use crate::cel::cost::Cost;
use crate::cel::{Error, Value};

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cidr {
    /// An address of the range.
    pub(super) address: IpAddr,
    /// How many bits all addresses of the range have alike.
    bits: u8,
}

pub(super) const ROWS: &[Row] = &[
    ("ip", &["(string) ip", "cidr.() ip"], Cost::Items, |call| match call.args {
        [Value::String(text)] => parse_ip(text).map(|address| opaque(Opaque::Ip(address))),
        [Value::Opaque(cidr)] => the_cidr(cidr).map(|cidr| opaque(Opaque::Ip(cidr.address))),
        _ => Err(Error::no_such_overload()),
    }),
    ("isIP", &["(string) bool"], Cost::Walk(1.0), |call| on_text(call, |text| parse_ip(text).is_ok())),
    ("ip.isCanonical", &["(string) bool"], Cost::Walk(2.0), |call| match call.args {
        [Value::String(text)] => parse_ip(text).map(|address| Value::Bool(address.to_string() == **text)),
        _ => Err(Error::no_such_overload()),
    }),
    ("cidr", &["(string) cidr"], Cost::Walk(1.0), |call| match call.args {
        [Value::String(text)] => parse_cidr(text).map(|cidr| opaque(Opaque::Cidr(cidr))),
        _ => Err(Error::no_such_overload()),
    }),
    ("isCIDR", &["(string) bool"], Cost::Walk(1.0), |call| on_text(call, |text| parse_cidr(text).is_ok())),
    ("family", &["ip.() int"], Cost::Units(1), |call| {
        on_ip(call, |address| Value::Int(if address.is_ipv4() { 4 } else { 6 }))
    }),
    ("isUnspecified", &["ip.() bool"], Cost::Units(1), |call| {
        on_ip(call, |address| Value::Bool(address.is_unspecified()))
    }),
    ("isLoopback", &["ip.() bool"], Cost::Units(1), |call| on_ip(call, |address| Value::Bool(address.is_loopback()))),
    ("isLinkLocalMulticast", &["ip.() bool"], Cost::Units(1), |call| {
        on_ip(call, |address| {
            Value::Bool(match address {
                IpAddr::V4(address) => address.octets().starts_with(&[224, 0, 0]),
                IpAddr::V6(address) => address.segments().first().is_some_and(|first| first & 0xff0f == 0xff02),
            })
        })
    }),
    ("isLinkLocalUnicast", &["ip.() bool"], Cost::Units(1), |call| {
        on_ip(call, |address| {
            Value::Bool(match address {
                IpAddr::V4(address) => address.is_link_local(),
                IpAddr::V6(address) => address.is_unicast_link_local(),
            })
        })
    }),
    ("isGlobalUnicast", &["ip.() bool"], Cost::Units(1), |call| {
        on_ip(call, |address| Value::Bool(is_global_unicast(address)))
    }),
    ("prefixLength", &["cidr.() int"], Cost::Units(1), |call| match call.args {
        [Value::Opaque(cidr)] => the_cidr(cidr).map(|cidr| Value::Int(cidr.bits.into())),
        _ => Err(Error::no_such_overload()),
    }),
    ("masked", &["cidr.() cidr"], Cost::Units(1), |call| match call.args {
        [Value::Opaque(cidr)] => {
            let cidr = the_cidr(cidr)?;
            Ok(opaque(Opaque::Cidr(Cidr { address: cidr.mask(cidr.address), ..cidr })))
        }
        _ => Err(Error::no_such_overload()),
    }),
    ("containsIP", &["cidr.(ip) bool", "cidr.(string) bool"], Cost::Network, |call| match call.args {
        [Value::Opaque(cidr), other] => {
            let address = match other {
                Value::String(text) => parse_ip(text)?,
                Value::Opaque(other) => match &**other {
                    Opaque::Ip(address) => *address,
                    _ => return Err(Error::no_such_overload()),
                },
                _ => return Err(Error::no_such_overload()),
            };
            Ok(Value::Bool(the_cidr(cidr)?.has(address)))
        }
        _ => Err(Error::no_such_overload()),
    }),
    ("containsCIDR", &["cidr.(cidr) bool", "cidr.(string) bool"], Cost::Network, |call| match call.args {
        [Value::Opaque(cidr), other] => {
            let inner = match other {
                Value::String(text) => parse_cidr(text)?,
                Value::Opaque(other) => the_cidr(other)?,
                _ => return Err(Error::no_such_overload()),
            };
            let cidr = the_cidr(cidr)?;
            Ok(Value::Bool(cidr.has(inner.address) && cidr.bits <= inner.bits))
        }
        _ => Err(Error::no_such_overload()),
    }),
];

fn opaque<'a>(value: Opaque) -> Value<'a> {
    Value::Opaque(Arc::new(value))
}

/// An address or a range as text.
pub(super) fn show(opaque: &Opaque) -> Option<String> {
    match opaque {
        Opaque::Ip(address) => Some(address.to_string()),
        Opaque::Cidr(cidr) => Some(format!("{}/{}", cidr.address, cidr.bits)),
        _ => None,
    }
}

fn on_text<'a>(call: &Call<'_, 'a>, holds: fn(&str) -> bool) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::String(text)] => Ok(Value::Bool(holds(text))),
        _ => Err(Error::no_such_overload()),
    }
}

fn on_ip<'a>(call: &Call<'_, 'a>, read: fn(IpAddr) -> Value<'static>) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::Opaque(opaque)] => match &**opaque {
            Opaque::Ip(address) => match read(*address) {
                Value::Int(value) => Ok(Value::Int(value)),
                Value::Bool(value) => Ok(Value::Bool(value)),
                _ => Err(Error::no_such_overload()),
            },
            _ => Err(Error::no_such_overload()),
        },
        _ => Err(Error::no_such_overload()),
    }
}

fn the_cidr(opaque: &Opaque) -> Result<Cidr, Error> {
    match opaque {
        Opaque::Cidr(cidr) => Ok(*cidr),
        _ => Err(Error::no_such_overload()),
    }
}

/// Source: apiserver `parseIPAddr`.
fn parse_ip(text: &str) -> Result<IpAddr, Error> {
    let wrong =
        |why: &str| Error::failed(format!("IP Address {text:?} parse error during conversion from string: {why}"));
    let address: IpAddr = text.parse().map_err(|_| wrong(&format!("ParseAddr({text:?}): unable to parse IP")))?;
    match address {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => {
            Err(Error::failed(format!("IPv4-mapped IPv6 address {text:?} is not allowed")))
        }
        address => Ok(address),
    }
}

fn parse_cidr(text: &str) -> Result<Cidr, Error> {
    let wrong = || {
        let why = format!("netip.ParsePrefix({text:?})");
        Error::failed(format!("CIDR {text:?} parse error during conversion from string: {why}"))
    };
    let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
    let address = parse_ip(address).map_err(|_| wrong())?;
    let is_plain = bits.bytes().all(|byte| byte.is_ascii_digit()) && (bits == "0" || !bits.starts_with('0'));
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.parse::<u8>().ok().filter(|bits| is_plain && *bits <= most).ok_or_else(wrong)?;
    Ok(Cidr { address, bits })
}

fn is_global_unicast(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(is_link_local || address.is_unspecified() || address.is_loopback() || address.is_multicast())
}

impl Cidr {
    /// The first address of the range of this size around an address.
    fn mask(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                IpAddr::V4((u32::from(address) & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                IpAddr::V6((u128::from(address) & mask).into())
            }
        }
    }

    fn has(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && self.mask(address) == self.mask(self.address)
    }
}
